/**
 * Ends one piece of work: when the first of several signals aborts, or after a time. `AbortSignal.any` leaves its link at them for
 * as long as they live (Node 22), and `AbortSignal.timeout` keeps its timer, however early the work ends.
 */
export class EndSignal {
  readonly #controller = new AbortController();
  readonly signal: AbortSignal = this.#controller.signal;
  readonly #undo: (() => void)[] = [];

  /** @param reasonOf makes the reason of the end out of the signal that has aborted */
  constructor(
    signals: readonly (AbortSignal | null | undefined)[],
    reasonOf: (aborted: AbortSignal) => unknown = ({ reason }) => reason,
  ) {
    for (const signal of signals) {
      if (!signal) continue;
      const abort = () => this.#controller.abort(reasonOf(signal));
      if (signal.aborted) abort();
      signal.addEventListener("abort", abort);
      this.#undo.push(() => signal.removeEventListener("abort", abort));
    }
  }

  /** @param reason makes the reason of the end when the time is over */
  after(ms: number, reason: () => unknown): this {
    const timer = setTimeout(() => this.#controller.abort(reason()), ms);
    this.#undo.push(() => clearTimeout(timer));
    return this;
  }

  /** Runs the work. */
  async during<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    return await work(this.signal).finally(() => this.release());
  }

  /** Lets go of the signals and the timer: the work has ended. */
  release(): void {
    for (const undo of this.#undo) undo();
  }
}
