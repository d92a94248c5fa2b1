import type { Server } from "node:net";
import { MAX_ACCEPTS_PER_SECOND } from "../limits.ts";

/** A socket of libuv. Sockets that another process has passed may read, and this stops and starts their accepts too. */
type Listening = Server & { _handle?: { readStart(): number; readStop(): number } | null };

/**
 * Accepts only so many connections in a second. An accepted connection that is cut costs the server more than a program pays
 * for it.
 */
export class AcceptRate {
  readonly #limit: number;
  readonly #servers = new Set<Listening>();
  #count = 0;
  #isPaused = false;

  constructor(limit = MAX_ACCEPTS_PER_SECOND) {
    this.#limit = limit;
  }

  /** @param server was passed by another process */
  add(server: Server): void {
    this.#servers.add(server);
    server.on("connection", () => this.#accepted());
    server.once("close", () => this.#servers.delete(server));
    if (this.#isPaused) pause(server);
  }

  #accepted(): void {
    if (this.#count === 0) setTimeout(() => this.#begin(), 1_000).unref();
    this.#count += 1;
    if (this.#count < this.#limit || this.#isPaused) return;
    this.#isPaused = true;
    for (const server of this.#servers) pause(server);
  }

  /** Begins another second. */
  #begin(): void {
    this.#count = 0;
    if (!this.#isPaused) return;
    this.#isPaused = false;
    for (const { _handle } of this.#servers) _handle?.readStart();
  }
}

function pause({ _handle }: Listening): void {
  // libuv stops only what it has started.
  _handle?.readStart();
  _handle?.readStop();
}
