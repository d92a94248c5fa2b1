import type { ActorConnStatus } from "rivetkit/client";
import { type AgentVmError, connectionLost } from "../api/errors.ts";
import { CallChannel } from "./calls.ts";
import { type EventCallback, Link } from "./link.ts";
import { Methods } from "./methods.ts";
import type { Target } from "./target.ts";
import type { Invoke } from "./transfer.ts";

/** A standing connection, as `handle.connect()` gives it; every action goes over the call protocol. */
export class ConnectionCore extends Methods {
  readonly #target: Target;
  readonly #link: Link;
  readonly #calls: CallChannel;
  /** Something was subscribed to that the server has not confirmed. */
  #unsynced = false;
  #disposed = false;

  constructor(target: Target) {
    super();
    this.#target = target;
    this.#link = new Link(target.raw);
    this.#calls = new CallChannel(this.#link, true);
    target.connections.add(this);
    this.#link.open();
  }

  readonly invoke: Invoke = async (action, args, signal) => {
    if (this.#disposed) throw connectionLost("The connection was disposed");
    return await this.#calls.call(action, args, signal);
  };

  on(event: string, callback: EventCallback): () => void {
    this.#unsynced = true;
    return this.#link.on(event, callback);
  }

  once(event: string, callback: EventCallback): () => void {
    const end = this.on(event, (...args) => {
      end();
      callback(...args);
    });
    return end;
  }

  onError(callback: (error: AgentVmError) => void): () => void {
    return this.#link.down.add((error) => callback(error));
  }

  onOpen(callback: () => void): () => void {
    return this.#link.opened.add(callback);
  }

  onClose(callback: () => void): () => void {
    let wasOpen = this.isConnected;
    return this.#link.statusChanged.add((status) => {
      if (wasOpen && status !== "connected") callback();
      wasOpen = status === "connected";
    });
  }

  onStatusChange(callback: (status: ActorConnStatus) => void): () => void {
    return this.#link.statusChanged.add(callback);
  }

  get connStatus(): ActorConnStatus {
    return this.#link.status;
  }

  get isConnected(): boolean {
    return this.#link.status === "connected";
  }

  get actorId(): string | undefined {
    return this.#link.raw?.actorId;
  }

  get connId(): string | undefined {
    return this.#link.raw?.connId;
  }

  /** Sends to an actor's queue; VMs have none. */
  async send(queue: string, body: unknown, options?: object): Promise<unknown> {
    return await this.#target.send(queue, body, options);
  }

  /** Resolves once the server has every subscription made so far, or when there is no reaching it. */
  async synced(): Promise<void> {
    if (!this.#unsynced) return;
    this.#unsynced = false;
    await this.#calls.synced();
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#target.connections.delete(this);
    this.#calls.fail(connectionLost("The connection was disposed"));
    await this.#calls.acknowledge();
    await this.#link.close();
  }

  protected line() {
    return { link: this.#link, invoke: this.invoke, release: () => undefined };
  }
}
