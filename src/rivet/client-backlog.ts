import type { Server } from "node:http";
import type { Socket } from "node:net";
import { KIB, MIB } from "../api/units.ts";

/**
 * Bytes that wait to be sent to one client.
 * @unit bytes
 * @past The server disconnects the client.
 * @code connection_lost
 */
const MAX_CLIENT_BACKLOG_BYTES = 128 * MIB;

/**
 * Bytes that wait to be sent to all clients of one VM.
 * @unit bytes
 * @past The server disconnects the client that would take the longest to read what waits for it.
 * @code connection_lost
 */
const MAX_VM_BACKLOG_BYTES = 160 * MIB;

/**
 * Bytes that wait to be sent to all clients of a server.
 * @unit bytes
 * @past The server disconnects the client that would take the longest to read what waits for it.
 * @code connection_lost
 */
const MAX_SERVER_BACKLOG_BYTES = 384 * MIB;

/**
 * Bytes that wait to be sent to one client before its next large result.
 * @unit bytes
 * @past The next result above 64 KiB waits in the VM, as one of its kept outcomes, until the client has read.
 */
const MAX_PACED_BACKLOG_BYTES = 1 * MIB;

/**
 * Time for which a client takes no byte while more than MAX_PACED_BACKLOG_BYTES wait for it.
 * @unit ms
 * @past The server disconnects the client.
 * @code connection_lost
 */
const CLIENT_STALL_MS = 60_000;

/** A smaller result is sent at once. */
const LARGE_RESULT_BYTES = 64 * KIB;

/** Milliseconds between two checks of all backlogs. */
const CHECK_INTERVAL_MS = 100;

/** Share of the latest interval in a client's rate, which looks back over some seconds. */
const RATE_SHARE = 0.02;

/** Bytes sent after which a check does not wait for the interval: a flood passes the limit within milliseconds. */
const CHECK_EVERY_BYTES = 8 * MIB;

interface BacklogLimits {
  client: number;
  vm: number;
  server: number;
  stallMs: number;
}

const LIMITS: BacklogLimits = {
  client: MAX_CLIENT_BACKLOG_BYTES,
  vm: MAX_VM_BACKLOG_BYTES,
  server: MAX_SERVER_BACKLOG_BYTES,
  stallMs: CLIENT_STALL_MS,
};

/** Fields of a socket that its type leaves out. */
interface Inside {
  _handle?: { writeQueueSize?: number } | null;
}

/** The bytes that wait for one client. */
class Backlog {
  /** The VM of the latest request. */
  vm: string | undefined;
  readonly #socket: Socket;
  readonly #waiters: ((isOpen: boolean) => void)[] = [];
  /** Bytes whose writes have ended. */
  #finished = 0;
  /** Bytes of the current write that the kernel has not taken. */
  #queued = 0;
  #movedAt = performance.now();
  /** Bytes that the client takes in an interval. */
  #rate = 0;
  /** Bytes of results that wait for room, and that nothing else bounds. */
  #held = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("drain", () => this.wake());
    socket.once("close", () => {
      for (const resume of this.#waiters.splice(0)) resume(false);
    });
  }

  get bytes(): number {
    return this.#socket.destroyed ? 0 : this.#socket.writableLength + this.#held;
  }

  /** Grows with the time that the client needs to read what waits. */
  get slowness(): number {
    return this.bytes / (this.#rate + 1);
  }

  /** Milliseconds for which the client has taken nothing although much waits. */
  get stalledMs(): number {
    return performance.now() - this.#movedAt;
  }

  cut(): void {
    this.#socket.destroy();
  }

  /** Notes what the client has taken in the last interval. */
  measure(): void {
    const { bytesWritten, writableLength } = this.#socket;
    if (writableLength <= MAX_PACED_BACKLOG_BYTES) this.#movedAt = performance.now();
    if (writableLength === 0 && this.#rate === 0) return;
    const finished = bytesWritten - writableLength;
    const queued = (this.#socket as Inside)._handle?.writeQueueSize ?? 0;
    const taken = finished > this.#finished ? finished - this.#finished : Math.max(0, this.#queued - queued);
    if (taken > 0) this.#movedAt = performance.now();
    this.#finished = finished;
    this.#queued = queued;
    this.#rate = Math.floor(this.#rate * (1 - RATE_SHARE) + taken * RATE_SHARE);
    this.wake();
  }

  /**
   * Resolves when the client has read most of what waits: `false` if it has left.
   *
   * @param held bytes that count meanwhile
   * @returns `undefined` if it has by now
   */
  room(held: number): Promise<boolean> | undefined {
    if (this.#waiters.length === 0 && this.#hasRoom) return undefined;
    if (this.#socket.destroyed) return Promise.resolve(false);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#held += held;
    this.#waiters.push((isOpen) => {
      this.#held -= held;
      resolve(isOpen);
    });
    return promise;
  }

  get #hasRoom(): boolean {
    return this.#socket.writableLength <= MAX_PACED_BACKLOG_BYTES && !this.#socket.destroyed;
  }

  /** Lets one result go on at a time: each may take all the room. */
  wake(): void {
    if (this.#waiters.length === 0 || !this.#hasRoom) return;
    this.#waiters.shift()?.(true);
    if (this.#waiters.length > 0) setImmediate(() => this.wake());
  }
}

interface Bounded {
  backlogs: Map<Socket, Backlog>;
  limits: BacklogLimits;
}

/** Each server of this process with its open connections. */
const servers = new Map<Server, Bounded>();
const backlogs = new WeakMap<object, Backlog>();
let timer: NodeJS.Timeout | undefined;
let sentSinceCheck = 0;

/**
 * Bounds the bytes that wait in this process for clients that do not read.
 *
 * For RivetKit 2.2, which writes events and results to a WebSocket whether or not the other side reads. A client that stopped
 * reading would use up the server's memory. Its socket is cut; agent-vm's client reconnects and continues.
 *
 * @param limits for tests. @default the documented limits
 */
export function limitBacklog(server: Server, limits: Partial<BacklogLimits> = {}): void {
  const bounded: Bounded = { backlogs: new Map(), limits: { ...LIMITS, ...limits } };
  servers.set(server, bounded);
  timer ??= setInterval(measure, CHECK_INTERVAL_MS).unref();
  server.on("connection", (socket: Socket) => {
    const backlog = new Backlog(socket);
    bounded.backlogs.set(socket, backlog);
    backlogs.set(socket, backlog);
    // A WebSocket that is reset during its upgrade has no other error listener; the error would end the process.
    socket.on("error", () => socket.destroy());
    socket.once("close", () => bounded.backlogs.delete(socket));
  });
  const note = ({ socket, url }: { socket: Socket; url?: string }) => {
    const backlog = bounded.backlogs.get(socket);
    if (backlog !== undefined) backlog.vm = /^\/gateway\/([^/?@]+)/.exec(url ?? "")?.[1];
  };
  server.prependListener("request", note);
  server.prependListener("upgrade", note);
  server.once("close", () => {
    servers.delete(server);
    if (servers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  });
}

/** Counts bytes that were handed to clients. */
export function noteSent(bytes: number): void {
  sentSinceCheck += bytes;
  if (sentSinceCheck >= CHECK_EVERY_BYTES) check();
}

/**
 * Waits until a client has read most of what waits for it, so that its large results wait before they are encoded.
 *
 * @param place of the result meanwhile. `held` counts as bytes that wait for the client; `kept` has a limit of its own
 * @returns `undefined` if the result may be sent at once; `false` later if the client has left
 */
export type Room = (bytes: number, place: "held" | "kept") => Promise<boolean> | undefined;

/** Returns the room of the client at a socket. */
export function roomOf(socket: object): Room {
  return (bytes, place) =>
    bytes > LARGE_RESULT_BYTES ? backlogs.get(socket)?.room(place === "held" ? bytes : 0) : undefined;
}

/** Cuts every connection of a server, including WebSockets. */
export function cutConnections(server: Server): void {
  for (const socket of servers.get(server)?.backlogs.keys() ?? []) socket.destroy();
}

function measure(): void {
  for (const { backlogs } of servers.values()) for (const backlog of backlogs.values()) backlog.measure();
  check();
}

function check(): void {
  sentSinceCheck = 0;
  for (const { backlogs, limits } of servers.values()) {
    const waiting: Backlog[] = [];
    for (const backlog of backlogs.values()) {
      if (backlog.bytes > limits.client || backlog.stalledMs > limits.stallMs) backlog.cut();
      else if (backlog.bytes > 0) waiting.push(backlog);
    }
    if (sum(waiting) <= Math.min(limits.vm, limits.server)) continue;
    for (const ofVm of Map.groupBy(waiting, ({ vm }) => vm).values())
      if (ofVm[0]?.vm !== undefined) cutSlowest(ofVm, limits.vm);
    cutSlowest(waiting, limits.server);
  }
}

/** Cuts connections until the others fit. */
function cutSlowest(backlogs: readonly Backlog[], limit: number): void {
  let total = sum(backlogs);
  if (total <= limit) return;
  for (const backlog of [...backlogs].sort((one, other) => other.slowness - one.slowness)) {
    if (total <= limit) return;
    total -= backlog.bytes;
    backlog.cut();
  }
}

function sum(backlogs: readonly Backlog[]): number {
  return backlogs.reduce((total, { bytes }) => total + bytes, 0);
}
