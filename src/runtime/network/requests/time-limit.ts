/**
 * Ends one piece of work: after a time, or when other signals abort. `AbortSignal.timeout` and `AbortSignal.any` keep their timers and
 * links until the time is over, however early the work ends.
 */
export class TimeLimit {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #unfollow: (() => void)[] = [];

  /** @param reason makes the reason of the signal when the time is over */
  constructor(ms: number, reason: () => Error) {
    this.#timer = setTimeout(() => this.#controller.abort(reason()), ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** @param reason makes the reason of the signal out of the signal that has aborted */
  follow(signals: readonly AbortSignal[], reason: (aborted: AbortSignal) => Error): void {
    for (const signal of signals) {
      const abort = () => this.#controller.abort(reason(signal));
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
      this.#unfollow.push(() => signal.removeEventListener("abort", abort));
    }
  }

  /** Call it when the work has ended. */
  end(): void {
    clearTimeout(this.#timer);
    for (const unfollow of this.#unfollow) unfollow();
  }
}
