import diagnostics from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { MAX_CLIENT_BACKLOG_BYTES } from "../api/limits.ts";

/** How often backlogs are looked at, in milliseconds. */
const CHECK_INTERVAL_MS = 100;

/** They are also looked at whenever this much has been sent: a flood passes the limit between two intervals. */
const CHECK_EVERY_BYTES = 8 * 1024 * 1024;

const sockets = new Set<Socket>();
const ports = new Set<() => number>();
let timer: NodeJS.Timeout | undefined;
let sentSinceCheck = 0;

/**
 * Bounds what waits for slow clients. RivetKit writes events to a WebSocket whether or not the other side reads, so that
 * one client that has stopped reading would take all of the server's memory. Its socket is cut instead: a client of
 * ours reconnects and reads on where it was.
 *
 * @param port tells where the server listens; RivetKit may choose another port at its start. Connections to other
 * servers of this process are left alone.
 */
export function limitBacklog(port: () => number): void {
  if (ports.size === 0) diagnostics.subscribe("net.server.socket", onSocket);
  ports.add(port);
}

/** Counts what was handed to clients. */
export function noteSent(bytes: number): void {
  sentSinceCheck += bytes;
  if (sentSinceCheck >= CHECK_EVERY_BYTES) check();
}

/** Cuts every connection to a port of this process. */
export function cutConnections(port: number): void {
  for (const socket of sockets) if (socket.localPort === port) socket.destroy();
}

function onSocket(message: unknown): void {
  const { socket } = message as { socket: Socket };
  if (![...ports].some((port) => port() === socket.localPort)) return;
  sockets.add(socket);
  // A WebSocket that is reset during its upgrade has no other listener: the error would end the process.
  socket.on("error", () => socket.destroy());
  socket.once("close", () => {
    sockets.delete(socket);
    if (sockets.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  });
  timer ??= setInterval(check, CHECK_INTERVAL_MS).unref();
}

function check(): void {
  sentSinceCheck = 0;
  for (const socket of sockets) {
    if (socket.writableLength > MAX_CLIENT_BACKLOG_BYTES) socket.destroy();
  }
}
