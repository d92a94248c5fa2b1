import { WebSocket } from "ws";
import { SERVICE_POOL } from "./service-pool.ts";

/** The part of RivetKit's runner that this repair changes. */
export interface ContactedRunner {
  readonly config: { runnerName: string };
  getPegboardWebSocketIfReady(): unknown;
  __sendToServer(message: { tag: string; val: unknown }): void;
  start(): Promise<void>;
}

/** Time for the engine to accept a connection, in milliseconds. */
const ACCEPT_MS = 10_000;

/** Pause between two looks whether the engine gives a sign of life. */
const LOOK_MS = 500;

/** Lost threshold of an engine that does not say its own, in milliseconds. */
const LOST_MS = 15_000;

/** Contact of this process with the engine: when it last gave a sign of life, and the silence after which it gives our actors away. */
let contact: { heardAt: number; lostMs: number } | undefined;

/** Work for the moment at which a connection is closed for its silence. */
const cutOff = new Set<() => void>();

/** Prototypes that are changed already. */
const changed = new WeakSet<object>();

/** A connection to the engine. Node's own can be closed only with the other end, which does not answer here. */
class EngineSocket extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols, { handshakeTimeout: ACCEPT_MS, perMessageDeflate: false });
  }
}

/**
 * Makes a runner close its connection when the engine has given no sign of life for its lost threshold, or has not accepted it in time.
 *
 * For RivetKit 2.2, whose runner answers pings of the engine and does not miss them. If packets are lost without a word, it would go on with its
 * actors until TCP gives up, while the engine has started them elsewhere. RivetKit ends them after a closed connection, and connects again.
 *
 * @param prototype prototype of RivetKit's runners. It is changed in place, before a runner starts.
 */
export function missEngine(prototype: ContactedRunner): void {
  if (changed.has(prototype)) return;
  changed.add(prototype);
  const { start, __sendToServer: send } = prototype;
  prototype.start = function () {
    return withSocket(() => start.call(this));
  };
  prototype.__sendToServer = function (message) {
    // RivetKit sends it when a connection has opened.
    if (message.tag === "ToServerInit")
      watch(this.getPegboardWebSocketIfReady(), this.config.runnerName !== SERVICE_POOL);
    send.call(this, message);
  };
}

/** Calls a function while the global WebSocket is ours. RivetKit takes it in the turn in which its first runner starts, and keeps it. */
function withSocket<Result>(run: () => Result): Result {
  const own = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
  Object.defineProperty(globalThis, "WebSocket", { value: EngineSocket, configurable: true });
  try {
    return run();
  } finally {
    if (own === undefined) Reflect.deleteProperty(globalThis, "WebSocket");
    else Object.defineProperty(globalThis, "WebSocket", own);
  }
}

/** Returns whether the engine has given no sign of life for its lost threshold: it may have started our actors elsewhere. */
export function isCutOff(): boolean {
  return contact !== undefined && isSilent(contact);
}

/** Calls a function each time a connection is closed for its silence. @returns a function that ends this */
export function onCutOff(listener: () => void): () => void {
  cutOff.add(listener);
  return () => void cutOff.delete(listener);
}

/** Returns whether this process has been in contact with the engine, and is. */
export function hasContact(): boolean {
  return contact !== undefined && !isCutOff();
}

function isSilent({ heardAt, lostMs }: NonNullable<typeof contact>): boolean {
  return performance.now() - heardAt > lostMs;
}

/** @param hasVms whether the VMs of this process depend on the connection */
function watch(connection: unknown, hasVms: boolean): void {
  if (!(connection instanceof WebSocket)) return;
  const own = { heardAt: performance.now(), lostMs: LOST_MS };
  let isFirst = true;
  let missed = 0;
  connection.addEventListener("message", ({ data }) => {
    own.heardAt = performance.now();
    if (isFirst) own.lostMs = lostThresholdIn(data) ?? LOST_MS;
    isFirst = false;
    if (hasVms) contact = own;
    missed = 0;
  });
  const timer = setInterval(() => {
    missed = isSilent(own) ? missed + 1 : 0;
    // A process that has stood still reads first what has come meanwhile.
    if (missed <= 1) return;
    connection.terminate();
    if (hasVms) for (const listener of cutOff) listener();
  }, LOOK_MS).unref();
  connection.addEventListener("close", () => clearInterval(timer));
}

/** Bytes of the number of the message and of the length of the runner's id. */
const HEAD_BYTES = 2;

/** Reads the lost threshold in the first message of the engine: in BARE, 0, the runner's id, and milliseconds. */
function lostThresholdIn(data: unknown): number | undefined {
  if (!Buffer.isBuffer(data) || data[0] !== 0) return undefined;
  const at = HEAD_BYTES + (data[1] ?? 0);
  if (data.byteLength < at + 8) return undefined;
  const threshold = Number(data.readBigInt64LE(at));
  return threshold > 0 ? threshold : undefined;
}
