import type { Server } from "node:http";
import type { Socket } from "node:net";
import { MIB } from "../api/units.ts";

/**
 * Bytes that wait to be sent to one client.
 * @unit bytes
 * @past The server disconnects the client.
 * @code connection_lost
 */
const MAX_CLIENT_BACKLOG_BYTES = 128 * MIB;

/** Milliseconds between two checks of all backlogs. */
const CHECK_INTERVAL_MS = 100;

/** Bytes sent after which a check does not wait for the interval: a flood passes the limit within milliseconds. */
const CHECK_EVERY_BYTES = 8 * MIB;

/** Open connections of each server of this process. */
const connections = new Map<Server, Set<Socket>>();
let timer: NodeJS.Timeout | undefined;
let sentSinceCheck = 0;

/**
 * Bounds the bytes that wait in this process for clients that do not read.
 *
 * For RivetKit 2.2, which writes events to a WebSocket whether or not the other side reads. A client that stopped reading
 * would use up the server's memory. Its socket is cut at MAX_CLIENT_BACKLOG_BYTES; agent-vm's client reconnects and
 * continues.
 */
export function limitBacklog(server: Server): void {
  const sockets = new Set<Socket>();
  connections.set(server, sockets);
  timer ??= setInterval(check, CHECK_INTERVAL_MS).unref();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    // A WebSocket that is reset during its upgrade has no other error listener; the error would end the process.
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
  });
  server.once("close", () => {
    connections.delete(server);
    if (connections.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  });
}

/** Counts bytes that were handed to clients. */
export function noteSent(bytes: number): void {
  sentSinceCheck += bytes;
  if (sentSinceCheck >= CHECK_EVERY_BYTES) check();
}

/** Cuts every connection of a server, including WebSockets. */
export function cutConnections(server: Server): void {
  for (const socket of connections.get(server) ?? []) socket.destroy();
}

function check(): void {
  sentSinceCheck = 0;
  for (const sockets of connections.values()) {
    for (const socket of sockets) if (socket.writableLength > MAX_CLIENT_BACKLOG_BYTES) socket.destroy();
  }
}
