import { Agent, type ClientRequestArgs } from "node:http";
import type { Duplex } from "node:stream";
import type { Permit } from "../destination.ts";
import type { Ahead } from "./ahead.ts";

/**
 * The connection to the outside behind an opened connection of a program, kept for its next requests. When the host closes
 * it between two requests, the program's connection closes too, so that the program sees what it would see without the
 * server.
 */
export class KeptConnection extends Agent {
  readonly #inside: Duplex;
  readonly #open: (signal: AbortSignal) => Promise<Duplex>;
  readonly #closed = new AbortController();
  #active = 0;
  /** Answer that has allowed the latest request, and so the connection that it may have to open. */
  permit: Permit | undefined;

  /**
   * @param open opens the connection to the outside
   * @param ahead connection that is open already
   */
  constructor(inside: Duplex, open: (signal: AbortSignal) => Promise<Duplex>, ahead?: Ahead) {
    super({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
    this.#inside = inside;
    this.#open = async (signal) => ahead?.take() ?? (await open(signal));
    ahead?.onceLost(() => inside.end());
    inside.once("close", () => {
      ahead?.close();
      this.#closed.abort();
      this.destroy();
    });
  }

  /** Counts a request of the program until its response closes. */
  begin(response: NodeJS.EventEmitter): void {
    this.#active += 1;
    response.once("close", () => {
      this.#active -= 1;
    });
  }

  override createConnection(
    _options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#open(this.#closed.signal).then(
      (outside) => {
        if (this.#closed.signal.aborted) outside.destroy();
        outside.once("close", () => {
          if (this.#active === 0) this.#inside.end();
        });
        callback?.(null, outside);
      },
      // Node's type requires a stream beside the error, but its code ignores it.
      (error: Error) => callback?.(error, undefined as unknown as Duplex),
    );
    return undefined;
  }
}
