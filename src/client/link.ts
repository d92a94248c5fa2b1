import { type AgentVmError, connectionLost } from "../api/errors.ts";
import { askAgain } from "../base/ask-again.ts";
import { deferred } from "../base/deferred.ts";
import { within } from "../base/within.ts";
import {
  ASK_AGAIN_MS,
  CONNECT_TIMEOUT_MS,
  HEARTBEAT_INTERVAL_MS,
  MAX_RECONNECT_DELAY_MS,
  RECONNECT_DELAY_MS,
  SILENCE_TIMEOUT_MS,
} from "./limits.ts";
import { Listeners } from "./listeners.ts";
import { toAgentVmError } from "./rivet/errors.ts";
import type { ActorConnStatus, RawConnection, RawHandle } from "./rivet/raw.ts";
import { type EventCallback, Subscriptions } from "./subscriptions.ts";

/** Longest wait for the server when the client closes a connection, in milliseconds. */
const CLOSE_TIMEOUT_MS = 1_000;

/** Milliseconds to ask why a connection has not opened. */
const REASON_TIMEOUT_MS = 2_000;

/** A connection to an actor that reconnects by itself, notices silence, and keeps its subscriptions. */
export class Link {
  readonly #handle: RawHandle;
  readonly #isVm: boolean;
  #raw: RawConnection | undefined;
  #status: ActorConnStatus = "idle";
  /** Number of connections so far. Answers of an earlier connection are ignored. */
  #epoch = 0;
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #patience: ReturnType<typeof setTimeout> | undefined;
  /** Ends the questions whether the actor can be reached. */
  #asking: AbortController | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #lastSign = 0;
  readonly #subscriptions = new Subscriptions(() => {
    this.#lastSign = Date.now();
  });
  #destroyed: AgentVmError | undefined;

  /** Called when a connection has opened and all subscriptions are sent. */
  readonly opened = new Listeners<[]>();
  /** Called when a connection ended, or could not be opened (`wasUp: false`). After a transient error the link tries again. */
  readonly down = new Listeners<[error: AgentVmError, wasUp: boolean]>();
  /** Called when the server refuses a subscription. The connection stays open. */
  readonly refused = new Listeners<[error: AgentVmError]>();
  readonly statusChanged = new Listeners<[ActorConnStatus]>();
  /** Called with the answer to a heartbeat. */
  readonly beat = new Listeners<[ticket: unknown]>();

  /** @param options `isVm`: whether the actor answers heartbeats. @default true */
  constructor(handle: RawHandle, { isVm = true }: { isVm?: boolean } = {}) {
    this.#handle = handle;
    this.#isVm = isVm;
  }

  get status(): ActorConnStatus {
    return this.#status;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Error of the last connection that ended with its VM. Another VM may have the key since. */
  get destroyed(): AgentVmError | undefined {
    return this.#destroyed;
  }

  /** The current connection. */
  get raw(): RawConnection | undefined {
    return this.#raw;
  }

  /** Connects, unless the link is connected or connecting. */
  open(): void {
    if (this.#status === "idle") void this.#connect();
  }

  /** Runs an action on the current connection. @throws AgentVmError `connection_lost` without a connection */
  async action(name: string, args: unknown[]): Promise<unknown> {
    const raw = this.#raw;
    if (this.#status !== "connected" || !raw) throw connectionLost("There is no connection");
    for (;;) {
      try {
        const output = await raw.action({ name, args });
        this.#lastSign = Date.now();
        return output;
      } catch (error) {
        // A refused subscription fails every message under way. All messages to a VM may be repeated.
        if (!this.#isVm || raw !== this.#raw || !isRefusedSubscription(toAgentVmError(error))) throw error;
      }
    }
  }

  /** Subscribes on this and all later connections. */
  on(event: string, callback: EventCallback): () => void {
    return this.#subscriptions.add(event, callback);
  }

  /** Calls back whenever an open connection has ended, for whatever reason. @returns a function that stops that */
  onClose(callback: () => void): () => void {
    let wasOpen = this.#status === "connected";
    return this.statusChanged.add((status) => {
      if (wasOpen && status !== "connected") callback();
      wasOpen = status === "connected";
    });
  }

  /** Milliseconds since the server has sent something. */
  get silence(): number {
    return Date.now() - this.#lastSign;
  }

  /** Passes an event of the client itself to its listeners. */
  tell(event: string, payload: object): void {
    this.#subscriptions.tell(event, payload);
  }

  /** Drops the connection and opens another. */
  restart(error: AgentVmError): void {
    this.#end(error);
  }

  /** Drops the connection, which has outlived an instance of the VM, and opens another at once: the next instance has just answered. */
  renew(error: AgentVmError): void {
    this.#end(error, { isReachable: true });
  }

  /** Resolves when the connection has ended, at most after a second. */
  async ended(): Promise<void> {
    if (this.#status !== "connected") return;
    const { promise, resolve } = deferred<void>();
    const end = this.down.add(() => resolve());
    await within(promise, CLOSE_TIMEOUT_MS);
    end();
  }

  /** Closes the connection. `open` can open it again. */
  async close(): Promise<void> {
    const raw = this.#raw;
    this.#leave("idle");
    if (!raw) return;
    // A server that has died never answers the close frame.
    await within(raw.dispose(), CLOSE_TIMEOUT_MS);
  }

  async #connect(): Promise<void> {
    this.#epoch += 1;
    const epoch = this.#epoch;
    this.#setStatus("connecting");
    this.#patience = setTimeout(() => void this.#tooLate(epoch), CONNECT_TIMEOUT_MS);
    try {
      await this.#handle.resolve();
      // A failed request says why. A browser does not say why a socket could not be opened.
      if (this.#failures > 0 && this.#isVm) await this.#ask();
    } catch (error) {
      if (epoch === this.#epoch) this.#end(toAgentVmError(error));
      return;
    }
    if (epoch !== this.#epoch) return;
    const raw = this.#handle.connect();
    this.#raw = raw;
    const lost = connectionLost("The connection was lost");
    let reason: AgentVmError = lost;
    raw.onError((error) => {
      const received = toAgentVmError(error);
      // A refused subscription leaves the connection open.
      if (received.code === "forbidden") this.refused.emit(received);
      else reason = received;
    });
    this.#subscriptions.over(raw);
    raw.onStatusChange((status, error) => {
      queueMicrotask(() => {
        if (epoch !== this.#epoch) return;
        if (error) reason = toAgentVmError(error);
        if (status === "connected") this.#up();
        else if (status === "disconnected") this.#closed(reason, reason !== lost);
      });
    });
  }

  /**
   * Asks whether the actor can be reached until there is an answer. A Rivet Engine that has just started never answers what it
   * receives before its servers are back.
   */
  async #ask(): Promise<void> {
    this.#asking = new AbortController();
    const ask = (signal: AbortSignal) => this.#handle.action({ name: "acknowledge", args: [[]], signal });
    await askAgain(ask, ASK_AGAIN_MS, this.#asking.signal);
  }

  /** Gives a connection up that has not opened. */
  async #tooLate(epoch: number): Promise<void> {
    const reason = await within(
      this.#handle.startFailure?.() ?? Promise.resolve(undefined),
      REASON_TIMEOUT_MS,
    );
    const late = `The connection did not open within ${CONNECT_TIMEOUT_MS} ms`;
    // The connection may have opened meanwhile.
    if (epoch !== this.#epoch || this.#status === "connected") return;
    this.#end(reason ? toAgentVmError(reason) : connectionLost(late));
  }

  #up(): void {
    clearTimeout(this.#patience);
    this.#failures = 0;
    this.#lastSign = Date.now();
    if (this.#isVm) this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_INTERVAL_MS);
    this.#setStatus("connected");
    this.opened.emit();
  }

  /** Sends a heartbeat, or reconnects after a long silence. */
  #beat(): void {
    if (this.silence > SILENCE_TIMEOUT_MS) {
      this.restart(connectionLost(`The server was silent for ${SILENCE_TIMEOUT_MS} ms`));
      return;
    }
    const epoch = this.#epoch;
    this.action("acknowledge", [[]]).then(
      (ticket) => {
        if (epoch === this.#epoch) this.beat.emit(ticket);
      },
      () => {
        // An error also shows that the server is alive.
        this.#lastSign = Date.now();
      },
    );
  }

  /** A connection has closed. The server gives no reason if the actor of a key is being deleted. */
  #closed(error: AgentVmError, isExplained: boolean): void {
    if (isExplained || this.#status === "connected" || this.#failures > 0) {
      this.#end(error);
      return;
    }
    const raw = this.#raw;
    this.#leave("connecting");
    void raw?.dispose();
    // The next attempt looks the key up again.
    this.#failures = 1;
    void this.#connect();
  }

  #end(error: AgentVmError, { isReachable = false } = {}): void {
    const raw = this.#raw;
    const wasUp = this.#status === "connected";
    const again = isTransient(error);
    this.#leave(again ? "disconnected" : "idle");
    // Not awaited: a silent connection takes 30 s to close.
    void raw?.dispose();
    if (again) {
      const pause = Math.min(RECONNECT_DELAY_MS * 2 ** this.#failures, MAX_RECONNECT_DELAY_MS);
      const delay = isReachable ? 0 : pause;
      if (!isReachable) this.#failures += 1;
      this.#retry = setTimeout(() => void this.#connect(), delay * (0.5 + Math.random() / 2));
    }
    if (error.code === "vm_destroyed") this.#destroyed = error;
    this.down.emit(error, wasUp);
  }

  #leave(status: ActorConnStatus): void {
    this.#epoch += 1;
    this.#raw = undefined;
    this.#subscriptions.over(undefined);
    clearTimeout(this.#retry);
    clearTimeout(this.#patience);
    this.#asking?.abort();
    clearInterval(this.#heartbeat);
    this.#setStatus(status);
  }

  #setStatus(status: ActorConnStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    this.statusChanged.emit(status);
  }
}

/** `true` for the error of a subscription. The error of a connection that has ended names no event. */
function isRefusedSubscription({ code, metadata }: AgentVmError): boolean {
  return code === "forbidden" && metadata.event !== undefined;
}

/** `true` if a repetition may succeed without a change of the call. */
export function isTransient(error: AgentVmError): boolean {
  return ["connection_lost", "vm_stopped", "server_stopping"].includes(error.code);
}
