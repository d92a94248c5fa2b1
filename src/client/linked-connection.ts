import type { AgentVmError } from "../api/errors.ts";
import type { Link } from "./link.ts";
import { callback as aCallback, check, someText } from "./options.ts";
import type { ActorConnStatus } from "./rivet/raw.ts";
import type { EventCallback } from "./subscriptions.ts";

/** A connection that a client has opened: its events, its state, and its end. */
export class LinkedConnection {
  readonly #link: Link;
  readonly #errorOf: (error: AgentVmError) => unknown;

  /** @param errorOf turns an error of the link into the error that callers get. Each public name of a connection hides an action */
  constructor(link: Link, errorOf: (error: AgentVmError) => unknown) {
    this.#link = link;
    this.#errorOf = errorOf;
  }

  on(event: string, callback: EventCallback): () => void {
    check("event", event, someText);
    checkCallback(callback);
    return this.#link.on(event, callback);
  }

  once(event: string, callback: EventCallback): () => void {
    checkCallback(callback);
    const end = this.on(event, (...args) => {
      end();
      return callback(...args);
    });
    return end;
  }

  onError(callback: (error: never) => void): () => void {
    checkCallback(callback);
    const report = (error: AgentVmError) => callback(this.#errorOf(error) as never);
    const ends = [this.#link.down.add(report), this.#link.refused.add(report)];
    return () => {
      for (const end of ends) end();
    };
  }

  onOpen(callback: () => void): () => void {
    checkCallback(callback);
    return this.#link.opened.add(callback);
  }

  onClose(callback: () => void): () => void {
    checkCallback(callback);
    return this.#link.onClose(callback);
  }

  onStatusChange(callback: (status: ActorConnStatus) => void): () => void {
    checkCallback(callback);
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
}

/** @throws AgentVmError `invalid_argument` for a callback that cannot be called */
function checkCallback(callback: unknown): void {
  check("callback", callback, aCallback);
}
