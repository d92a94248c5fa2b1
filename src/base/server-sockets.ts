import type { Server, Socket } from "node:net";

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
