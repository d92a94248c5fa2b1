import { connectionLost } from "../../api/errors.ts";

/**
 * Lets one HTTP body at a time carry the bytes of a transfer. A newer body cuts the older one, which a broken connection may have left
 * behind.
 */
export class BodyTurn {
  #cut = new AbortController();
  #ended: Promise<unknown> = Promise.resolve();

  /** @param work carries a body. Its signal aborts when the body is cut. It begins when the older body has ended */
  async run<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    this.cut();
    const cut = new AbortController();
    this.#cut = cut;
    const body = this.#ended.then(() => {
      cut.signal.throwIfAborted();
      return work(cut.signal);
    });
    this.#ended = body.catch(() => undefined);
    return await body;
  }

  /** Cuts the body under way. */
  cut(): void {
    this.#cut.abort(connectionLost("The body was cut"));
  }

  /** Cuts the body under way. Resolves when it has ended. */
  async end(): Promise<void> {
    this.cut();
    await this.#ended;
  }
}
