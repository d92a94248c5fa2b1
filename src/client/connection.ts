import { type AgentVmError, connectionLost } from "../api/errors.ts";
import type { Ask, Ways } from "./bodies.ts";
import { CallChannel } from "./calls.ts";
import { Link } from "./link.ts";
import { LinkedConnection } from "./linked-connection.ts";
import type { VmCore } from "./methods.ts";
import type { EventCallback } from "./subscriptions.ts";
import type { Target } from "./target.ts";
import type { Invoke } from "./transfer.ts";

/** A connection that `handle.connect()` opened. It sends every action over the call protocol. */
export class ConnectionCore extends LinkedConnection implements VmCore {
  readonly target: Target;
  readonly #link: Link;
  readonly #calls: CallChannel;
  /** Resolves when the server has every subscription made so far; `undefined` before a call has asked. */
  #synced: Promise<void> | undefined = Promise.resolve();
  #disposed = false;
  /** Ends requests whose bodies are under way. */
  readonly #gone = new AbortController();
  #destroyed: AgentVmError | undefined;

  constructor(target: Target) {
    const link = new Link(target.raw);
    super(link, (error) => error);
    this.target = target;
    this.#link = link;
    this.#calls = new CallChannel(this.#link, { isPatient: true });
    target.connections.add(this);
    this.#link.down.add((error) => {
      // A later call must not make another VM of the key.
      if (error.code === "vm_destroyed") this.#destroyed = error;
    });
    this.#link.open();
  }

  readonly invoke: Invoke = async (action, args, signal) => {
    if (this.#disposed) throw connectionLost("The connection was disposed");
    if (this.#destroyed !== undefined) throw this.#destroyed;
    return await this.#calls.call(action, args, signal);
  };

  readonly ask: Ask = async (path, init) => {
    if (this.#destroyed !== undefined) throw this.#destroyed;
    return await this.target.raw.fetch(path, init);
  };

  readonly download: Ways["download"] = async (path, options) => {
    if (this.#destroyed !== undefined) throw this.#destroyed;
    return await this.target.raw.download(path, options);
  };

  get disposal(): AbortSignal {
    return this.#gone.signal;
  }

  override on(event: string, callback: EventCallback): () => void {
    this.#synced = undefined;
    return super.on(event, callback);
  }

  /** Resolves when the server has every subscription made so far, or when it cannot be reached. */
  async synced(): Promise<void> {
    this.#synced ??= this.#calls.synced();
    await this.#synced;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#gone.abort(connectionLost("The connection was disposed"));
    this.target.connections.delete(this);
    this.#calls.fail(connectionLost("The connection was disposed"));
    await this.#calls.acknowledge();
    await this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async ended() {
    await Promise.all([this.#link.ended(), this.target.link.ended()]);
  }

  line() {
    return { link: this.#link, invoke: this.invoke, patient: this.invoke, release: () => undefined };
  }
}
