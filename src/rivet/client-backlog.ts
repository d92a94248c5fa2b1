import type { Server } from "node:http";
import type { Socket } from "node:net";
import { MIB } from "../api/units.ts";
import { equalShare } from "../base/fair-pool.ts";
import { onSockets } from "../base/server-sockets.ts";

/**
 * Bytes that wait to be sent to one client.
 * @unit bytes
 * @past The server disconnects the client.
 * @code connection_lost
 */
const MAX_CLIENT_BACKLOG_BYTES = 128 * MIB;

/**
 * Bytes that wait in the server for all clients together: unread answers and events, large results that wait to be encoded, messages and
 * bodies of calls without their end, and calls that wait behind a long call of their connection.
 * @unit bytes
 * @past The server disconnects connections of the addresses with the most, until a quarter is free: first those with many bytes that
 * have stood still for long.
 * @code connection_lost
 */
const MAX_CLIENTS_BACKLOG_BYTES = 256 * MIB;

/** Bytes that all clients together keep after a cut, so that the next cut is far away. */
const KEPT_BYTES = (MAX_CLIENTS_BACKLOG_BYTES * 3) / 4;

/** Milliseconds between two checks of all backlogs. */
const CHECK_INTERVAL_MS = 100;

/** Bytes after which a check does not wait for the interval: a flood passes the limit within milliseconds. */
const CHECK_EVERY_BYTES = 8 * MIB;

/** Bytes for each open connection that such a check waits for, because it looks at each. */
const CHECK_EVERY_BYTES_EACH = 1024;

/** Connections that one turn of the event loop cuts. */
const CUTS_PER_TURN = 50;

/** A socket with the bytes that the last check found. */
interface Connection {
  server: Server;
  socket: Socket;
  address: string;
  /** Bytes that wait to be sent to the client. */
  unread: number;
  /** Bytes of the message or body that the client has begun. */
  unended: number;
  /** Bytes that the client has got. */
  sent: number;
  /** Time at which the client was last seen to read or to send. */
  movedAt: number;
}

const servers = new Set<Server>();
/** Open connections of all servers of this process. */
const connections = new Map<Socket, Connection>();
/** Bytes of the message or body that a client has begun, by its connection. */
const unended = new WeakMap<Socket, () => number>();
/** Connections that are about to be cut. */
const doomed = new Set<Socket>();
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
  servers.add(server);
  timer ??= setInterval(check, CHECK_INTERVAL_MS).unref();
  onSockets(server, (socket) => {
    const { remoteAddress: address = "" } = socket;
    connections.set(socket, { server, socket, address, unread: 0, unended: 0, sent: 0, movedAt: 0 });
    // A WebSocket that is reset during its upgrade has no other error listener; the error would end the process.
    socket.on("error", () => socket.destroy());
    socket.once("close", () => connections.delete(socket));
  });
  server.once("close", () => {
    servers.delete(server);
    if (servers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  });
}

/** Counts bytes that were handed to clients, or came from them. */
export function noteBytes(bytes: number): void {
  sinceCheck += bytes;
  if (sinceCheck >= Math.max(CHECK_EVERY_BYTES, connections.size * CHECK_EVERY_BYTES_EACH)) check();
}

/** Counts a message or body without its end as backlog of its client. @param bytes returns how much of it the server holds */
export function countUnended(socket: Socket, bytes: () => number): void {
  unended.set(socket, bytes);
}

/** Cuts every connection of a server, including WebSockets. */
export function cutConnections(server: Server): void {
  for (const connection of connections.values())
    if (connection.server === server) connection.socket.destroy();
}

function check(): void {
  sinceCheck = 0;
  const now = performance.now();
  let total = 0;
  for (const connection of connections.values()) {
    const { socket } = connection;
    if (socket.destroyed || doomed.has(socket)) continue;
    count(connection, now);
    if (connection.unread > MAX_CLIENT_BACKLOG_BYTES) socket.destroy();
    else total += heldOf(connection);
  }
  if (total > MAX_CLIENTS_BACKLOG_BYTES) makeRoom(now);
}

function count(connection: Connection, now: number): void {
  const { socket } = connection;
  const unread = socket.writableLength;
  const begun = unended.get(socket)?.() ?? 0;
  // A download that goes on has the same bytes waiting at each check.
  const sent = socket.bytesWritten - unread;
  const hasMoved = heldOf(connection) === 0 || sent !== connection.sent || begun !== connection.unended;
  if (hasMoved) connection.movedAt = now;
  connection.sent = sent;
  connection.unread = unread;
  connection.unended = begun;
}

const heldOf = ({ unread, unended: begun }: Connection): number => unread + begun;

/**
 * Cuts connections of the addresses with the most, until all together have KEPT_BYTES. Clients behind one proxy have one address: an
 * upload or a download that goes on is cut after connections that take room and do nothing.
 */
function makeRoom(now: number): void {
  const isCutting = doomed.size > 0;
  const weightOf = (connection: Connection) =>
    heldOf(connection) * (now - connection.movedAt + CHECK_INTERVAL_MS);
  const holding = [...connections.values()].filter(
    (connection) => heldOf(connection) > 0 && !connection.socket.destroyed && !doomed.has(connection.socket),
  );
  const addresses = [...Map.groupBy(holding, ({ address }) => address).values()].map((held) => ({
    held,
    bytes: held.reduce((sum, connection) => sum + heldOf(connection), 0),
  }));
  const share = equalShare(
    addresses.map(({ bytes }) => bytes),
    KEPT_BYTES,
  );
  for (const { held, bytes } of addresses) {
    if (bytes <= share) continue;
    let left = bytes;
    for (const connection of held.toSorted((one, other) => weightOf(other) - weightOf(one))) {
      if (left <= share) break;
      left -= heldOf(connection);
      doomed.add(connection.socket);
    }
  }
  if (!isCutting) cutDoomed();
}

function cutDoomed(): void {
  let cuts = 0;
  for (const socket of doomed) {
    if (cuts++ === CUTS_PER_TURN) return void setImmediate(cutDoomed);
    doomed.delete(socket);
    socket.destroy();
  }
}
