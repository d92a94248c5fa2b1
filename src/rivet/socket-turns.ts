import { AsyncLocalStorage } from "node:async_hooks";
import { within } from "../base/within.ts";

/** The messages of one WebSocket. */
export class SocketTurns {
  #arrived = 0;
  #onNext: (() => void) | undefined;

  /** A message has arrived. @param handle hands it to the code that answers it */
  arrived<Result>(handle: () => Result): Result {
    this.#arrived += 1;
    const number = this.#arrived;
    this.#onNext?.();
    return turns.run({ of: this, number }, handle);
  }

  /** Calls back once when a message after this one has arrived. @returns `false` if one has arrived already */
  onNext(number: number, callback: () => void): boolean {
    if (number !== this.#arrived) return false;
    this.#onNext = () => {
      this.#onNext = undefined;
      callback();
    };
    return true;
  }
}

const turns = new AsyncLocalStorage<{ of: SocketTurns; number: number }>();

/**
 * Waits for a promise while no further message has arrived over the WebSocket of the current message. Resolves at once for any
 * other message.
 *
 * For RivetKit 2.2, which handles the messages of a connection one after the other.
 *
 * @param limitMs longest wait
 */
export async function whileQuiet(work: Promise<unknown>, limitMs: number): Promise<void> {
  const turn = turns.getStore();
  if (turn === undefined) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  if (!turn.of.onNext(turn.number, resolve)) return;
  await within(Promise.race([work, promise]), limitMs);
}
