import type { Duplex } from "node:stream";
import { MAX_PIPELINED } from "../../limits.ts";

/** Counts the requests of each connection that have no whole response yet. Each of them holds memory. */
export class Unanswered {
  readonly #counts = new WeakMap<Duplex, number>();

  /**
   * Counts a request. Cuts a connection with more than MAX_PIPELINED.
   *
   * @returns whether the request may be served
   */
  begin(connection: Duplex): boolean {
    const count = (this.#counts.get(connection) ?? 0) + 1;
    if (count > MAX_PIPELINED) connection.destroy();
    else this.#counts.set(connection, count);
    return count <= MAX_PIPELINED;
  }

  /** The response to a request has closed. */
  end(connection: Duplex): void {
    this.#counts.set(connection, (this.#counts.get(connection) ?? 0) - 1);
  }
}
