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

/**
 * Bytes that wait in the server for all clients together: unread answers and events, and messages and bodies of calls without their
 * end.
 * @unit bytes
 * @past The server disconnects the connection with the most, of the address with the most.
 * @code connection_lost
 */
const MAX_CLIENTS_BACKLOG_BYTES = 256 * MIB;

/** Milliseconds between two checks of all backlogs. */
const CHECK_INTERVAL_MS = 100;

/** Bytes after which a check does not wait for the interval: a flood passes the limit within milliseconds. */
const CHECK_EVERY_BYTES = 8 * MIB;

/** Open connections of each server of this process. */
const connections = new Map<Server, Set<Socket>>();
/** Bytes of the message or body that a client has begun, by its connection. */
const unended = new WeakMap<Socket, () => number>();
let timer: NodeJS.Timeout | undefined;
let sinceCheck = 0;

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

/** Counts bytes that were handed to clients, or came from them. */
export function noteBytes(bytes: number): void {
  sinceCheck += bytes;
  if (sinceCheck >= CHECK_EVERY_BYTES) check();
}

/** Counts a message or body without its end as backlog of its client. @param bytes returns how much of it the server holds */
export function countUnended(socket: Socket, bytes: () => number): void {
  unended.set(socket, bytes);
}

/** Cuts every connection of a server, including WebSockets. */
export function cutConnections(server: Server): void {
  for (const socket of connections.get(server) ?? []) socket.destroy();
}

function check(): void {
  sinceCheck = 0;
  let total = 0;
  for (const socket of open()) {
    if (socket.writableLength > MAX_CLIENT_BACKLOG_BYTES) socket.destroy();
    else total += backlogOf(socket);
  }
  while (total > MAX_CLIENTS_BACKLOG_BYTES) total -= cutHeaviest();
}

function open(): Socket[] {
  return [...connections.values()].flatMap((sockets) => [...sockets]).filter(({ destroyed }) => !destroyed);
}

function backlogOf(socket: Socket): number {
  return socket.writableLength + (unended.get(socket)?.() ?? 0);
}

/** @returns the bytes of the connection */
function cutHeaviest(): number {
  const addresses = Map.groupBy(open(), ({ remoteAddress = "" }) => remoteAddress);
  const byWeight = [...addresses.values()].map((sockets) => ({
    sockets,
    bytes: sockets.reduce((sum, socket) => sum + backlogOf(socket), 0),
  }));
  const { sockets } = byWeight.reduce((one, other) => (other.bytes > one.bytes ? other : one));
  const heaviest = sockets.reduce((one, other) => (backlogOf(other) > backlogOf(one) ? other : one));
  const bytes = backlogOf(heaviest);
  heaviest.destroy();
  return bytes;
}
