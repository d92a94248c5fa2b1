import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { MAX_PIPELINED } from "../../limits.ts";

/** Counts the requests of each connection that have no whole response yet. Each of them holds memory. */
export class Unanswered {
  readonly #counts = new WeakMap<Duplex, number>();

  /**
   * Counts a request until its response closes. Cuts a connection with more than MAX_PIPELINED.
   *
   * @returns whether the request may be served
   */
  begin({ socket }: IncomingMessage, response: ServerResponse): boolean {
    const count = (this.#counts.get(socket) ?? 0) + 1;
    if (count > MAX_PIPELINED) {
      socket.destroy();
      return false;
    }
    this.#counts.set(socket, count);
    response.once("close", () => this.#counts.set(socket, (this.#counts.get(socket) ?? 0) - 1));
    return true;
  }
}
