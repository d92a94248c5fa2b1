import type { Server, Socket } from "node:net";
import type { Duplex } from "node:stream";

/** A socket of a request. Over TLS Node makes it around the accepted one, and links the two by a member without documentation. */
type RequestSocket = Socket & { _parent?: Socket | null };

/**
 * Calls back with every socket of the connections that a server accepts. Over TLS a connection has two: the accepted one, and the
 * one of its requests, which holds all that waits.
 */
export function onSockets(server: Server, opened: (socket: Socket) => void): void {
  server.on("connection", opened);
  server.on("secureConnection", opened);
}

/** Returns the socket that a server accepted, by the socket of a request. */
export function acceptedSocket(socket: RequestSocket): Socket {
  return socket._parent ?? socket;
}

/**
 * Cuts a connection of an HTTP server that has sent too many requests. Node reads a packet of thousands of them to its end in one turn of
 * the event loop, also if the connection is cut meanwhile: with 2, as for an upgrade, its parser stops.
 */
export function cutReading(connection: Duplex): void {
  const { parser } = connection as { parser?: object | null };
  Object.assign(parser ?? {}, { onIncoming: () => 2 });
  connection.destroy();
}
