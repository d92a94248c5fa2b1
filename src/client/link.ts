import type { ActorConnStatus } from "rivetkit/client";
import { type AgentVmError, connectionLost } from "../api/errors.ts";
import {
  HEARTBEAT_INTERVAL_MS,
  MAX_RECONNECT_DELAY_MS,
  RECONNECT_DELAY_MS,
  SILENCE_TIMEOUT_MS,
} from "../api/limits.ts";
import { isTransient, toAgentVmError } from "./errors.ts";
import { Listeners } from "./listeners.ts";
import type { RawConnection, RawHandle } from "./raw.ts";

interface Subscription {
  callbacks: Set<EventCallback>;
  /** Ends it on the connection of the moment. */
  end?: (() => void) | undefined;
}

/** Closing waits no longer than this for the other side, in milliseconds. */
const CLOSE_TIMEOUT_MS = 1_000;

/** VMs' events have one payload; those of other actors may have any number. */
export type EventCallback = (payload: never, ...more: never[]) => void;

/**
 * A connection to an actor that comes back by itself, with its subscriptions. RivetKit's own would do the same, but
 * it tries for ever where the server has said no, waits up to half a minute between attempts, and takes a connection that
 * died without a word for alive.
 */
export class Link {
  readonly #handle: RawHandle;
  #raw: RawConnection | undefined;
  #status: ActorConnStatus = "idle";
  /** Counts the connections; what was said on an earlier one is void. */
  #epoch = 0;
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #lastSign = 0;
  readonly #subscriptions = new Map<string, Subscription>();

  /** Told when a connection stands and the server knows every subscription's request. */
  readonly opened = new Listeners<[]>();
  /**
   * Told when a connection ended, or could not be made (`wasUp: false`); transient errors are followed by another
   * attempt.
   */
  readonly down = new Listeners<[error: AgentVmError, wasUp: boolean]>();
  readonly statusChanged = new Listeners<[ActorConnStatus]>();

  constructor(handle: RawHandle) {
    this.#handle = handle;
  }

  get status(): ActorConnStatus {
    return this.#status;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** RivetKit's connection of the moment. */
  get raw(): RawConnection | undefined {
    return this.#raw;
  }

  /** Connects, unless it is connected or about to be. */
  open(): void {
    if (this.#status === "idle") void this.#connect();
  }

  /** Runs an action on the connection of the moment. */
  async action(name: string, args: unknown[]): Promise<unknown> {
    if (this.#status !== "connected" || !this.#raw) throw connectionLost("There is no connection");
    const output = await this.#raw.action({ name, args });
    this.#lastSign = Date.now();
    return output;
  }

  /** Subscribes for this and all later connections. */
  on(event: string, callback: EventCallback): () => void {
    let subscription = this.#subscriptions.get(event);
    if (!subscription) {
      subscription = { callbacks: new Set() };
      this.#subscriptions.set(event, subscription);
      if (this.#raw) this.#subscribe(this.#raw, event, subscription);
    }
    const { callbacks } = subscription;
    callbacks.add(callback);
    return () => {
      if (!callbacks.delete(callback) || callbacks.size > 0) return;
      // Nobody listens any more: the server need not send it.
      this.#subscriptions.delete(event);
      subscription.end?.();
    };
  }

  /** Gives the connection up and makes another one. */
  restart(error: AgentVmError): void {
    this.#end(error);
  }

  /** Ends the connection for good, or until it is opened again. */
  async close(): Promise<void> {
    const raw = this.#raw;
    this.#leave("idle");
    if (!raw) return;
    // The other side may have died without a word, and then never says goodbye.
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
    await Promise.race([raw.dispose(), late]);
    clearTimeout(timer);
  }

  async #connect(): Promise<void> {
    this.#epoch += 1;
    const epoch = this.#epoch;
    this.#setStatus("connecting");
    try {
      // Asked apart: within a connection RivetKit retries even where the server refuses, and tells nobody.
      await this.#handle.resolve();
      // A socket that cannot be opened fills the log; a request that fails does not.
      if (this.#failures > 0) await this.#probe();
    } catch (error) {
      if (epoch === this.#epoch) this.#end(toAgentVmError(error));
      return;
    }
    if (epoch !== this.#epoch) return;
    const raw = this.#handle.connect();
    this.#raw = raw;
    let reason: AgentVmError = connectionLost("The connection was lost");
    raw.onError((error) => {
      reason = toAgentVmError(error);
    });
    for (const [event, subscription] of this.#subscriptions) this.#subscribe(raw, event, subscription);
    raw.onStatusChange((status) => {
      // RivetKit sends subscriptions, and tells why it lost a connection, right after it has changed the status.
      queueMicrotask(() => {
        if (epoch !== this.#epoch) return;
        if (status === "connected") this.#up();
        else if (status === "disconnected") this.#end(reason);
      });
    });
  }

  async #probe(): Promise<void> {
    try {
      await this.#handle.action({ name: "acknowledge", args: [[]] });
    } catch (error) {
      // An actor of another kind knows no such action, but is there.
      if (toAgentVmError(error).code !== "action_not_found") throw error;
    }
  }

  #up(): void {
    this.#failures = 0;
    this.#lastSign = Date.now();
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_INTERVAL_MS);
    this.#setStatus("connected");
    this.opened.emit();
  }

  /** Asks for a sign of life. */
  #beat(): void {
    if (Date.now() - this.#lastSign > SILENCE_TIMEOUT_MS) {
      this.restart(connectionLost("The connection went silent"));
      return;
    }
    this.action("acknowledge", [[]]).catch(() => {
      // An actor of another kind knows no such action, but has answered.
      this.#lastSign = Date.now();
    });
  }

  #end(error: AgentVmError): void {
    const raw = this.#raw;
    const wasUp = this.#status === "connected";
    const again = isTransient(error);
    this.#leave(again ? "disconnected" : "idle");
    // Not waited for: a connection that died in silence takes half a minute to close.
    void raw?.dispose();
    if (again) {
      const delay = Math.min(RECONNECT_DELAY_MS * 2 ** this.#failures, MAX_RECONNECT_DELAY_MS);
      this.#failures += 1;
      this.#retry = setTimeout(() => void this.#connect(), delay * (0.5 + Math.random() / 2));
    }
    this.down.emit(error, wasUp);
  }

  #leave(status: ActorConnStatus): void {
    this.#epoch += 1;
    this.#raw = undefined;
    for (const subscription of this.#subscriptions.values()) subscription.end = undefined;
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    this.#setStatus(status);
  }

  #setStatus(status: ActorConnStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    this.statusChanged.emit(status);
  }

  #subscribe(raw: RawConnection, event: string, subscription: Subscription): void {
    subscription.end = raw.on(event, (...args) => {
      this.#lastSign = Date.now();
      for (const callback of [...subscription.callbacks]) callback(...(args as [never]));
    });
  }
}
