import { connectionLost } from "../api/errors.ts";
import { LONG_METHODS } from "../api/methods/facts.ts";
import { unlessAborted } from "../base/within.ts";
import { CallChannel } from "./calls.ts";
import type { ConnectionCore } from "./connection.ts";
import { CONNECTION_LINGER_MS } from "./limits.ts";
import { Link } from "./link.ts";
import { hasNotBegun, toAgentVmError } from "./rivet/errors.ts";
import type { RawHandle } from "./rivet/raw.ts";
import { checkArguments } from "./wire.ts";

/** Targets with open tunnels, which need no handle to live on. */
const withTunnels = new Set<Target>();

/**
 * One actor, shared by all handles of its key. It has a connection of its own, for calls that outlast an HTTP request. The
 * connection opens with the first such call and closes soon after the last, because an open connection keeps the VM awake
 * and a script from ending.
 */
export class Target {
  readonly raw: RawHandle;
  readonly link: Link;
  /** Connections that were opened through handles. */
  readonly connections = new Set<ConnectionCore>();
  /** Tunnels that the client's end closes. */
  readonly #tunnels = new Set<AsyncDisposable>();
  readonly #calls: CallChannel;
  /** Ends requests whose bodies are under way when the client is disposed. Later requests have another controller. */
  #disposed = new AbortController();
  #holds = 0;
  #linger: ReturnType<typeof setTimeout> | undefined;

  constructor(raw: RawHandle) {
    this.raw = raw;
    this.link = new Link(raw);
    this.#calls = new CallChannel(this.link, { isPatient: false });
  }

  /**
   * Runs an action over the shared connection if the action may take long or the connection is open, else as one HTTP
   * request. Earlier subscriptions reach the server before the action.
   */
  async invoke(action: string, args: unknown[], signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted();
    for (const connection of this.connections) {
      const synced = connection.synced();
      await (signal ? unlessAborted(synced, signal) : synced);
    }
    const { isReady, isRestarting } = this.#calls;
    if (LONG_METHODS.has(action) || isReady || isRestarting) return await this.call(action, args, signal);
    return await this.#request(action, args, signal);
  }

  /** Runs an action over the shared connection. @param isPatient whether it waits for a connection. @default false */
  async call(action: string, args: unknown[], signal?: AbortSignal, isPatient?: boolean): Promise<unknown> {
    const release = this.hold();
    try {
      return await this.#calls.call(action, args, signal, isPatient);
    } finally {
      release();
    }
  }

  /** Aborts when the client is disposed the next time. */
  get disposal(): AbortSignal {
    return this.#disposed.signal;
  }

  /** Keeps the shared connection open. @returns a function that lets it close */
  hold(): () => void {
    this.#holds += 1;
    clearTimeout(this.#linger);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holds -= 1;
      if (this.#holds === 0) this.#linger = setTimeout(() => void this.#close(), CONNECTION_LINGER_MS);
    };
  }

  /** Closes a tunnel with the client, unless it has been closed before. */
  async keep<Kept extends AsyncDisposable & { close(): Promise<void> }>(
    opening: Promise<Kept>,
  ): Promise<Kept> {
    const { disposal } = this;
    const tunnel = await opening;
    if (disposal.aborted) {
      await tunnel.close();
      throw connectionLost("The client was disposed");
    }
    const close = async () => {
      this.#tunnels.delete(kept);
      if (this.#tunnels.size === 0) withTunnels.delete(this);
      await tunnel.close();
    };
    const kept = { ...tunnel, close, [Symbol.asyncDispose]: close };
    this.#tunnels.add(kept);
    withTunnels.add(this);
    return kept;
  }

  async dispose(): Promise<void> {
    const disposed = this.#disposed;
    // The handles stay usable.
    this.#disposed = new AbortController();
    disposed.abort(connectionLost("The client was disposed"));
    await Promise.all([...this.#tunnels].map((tunnel) => tunnel[Symbol.asyncDispose]()));
    await Promise.all([...this.connections].map((connection) => connection.dispose()));
    clearTimeout(this.#linger);
    this.#calls.fail(connectionLost("The client was disposed"));
    await this.#calls.acknowledge();
    await this.link.close();
  }

  async #close(): Promise<void> {
    await this.#calls.acknowledge();
    if (this.#holds === 0) await this.link.close();
  }

  async #request(name: string, args: unknown[], signal: AbortSignal | undefined): Promise<unknown> {
    checkArguments(name, args);
    try {
      return await this.raw.action(signal ? { name, args, signal } : { name, args });
    } catch (error) {
      signal?.throwIfAborted();
      const refusal = toAgentVmError(error);
      // The connection waits until a server has the VM.
      if (hasNotBegun(refusal)) return await this.call(name, args, signal);
      throw refusal;
    }
  }
}
