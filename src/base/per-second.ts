const SECOND_MS = 1_000;

/** Counts things that may happen so many times in a second. */
export class PerSecond {
  readonly #limit: number;
  #since = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Counts one. @returns whether it is past the limit */
  isTooMany(): boolean {
    const now = performance.now();
    if (now - this.#since > SECOND_MS) [this.#since, this.#count] = [now, 0];
    this.#count += 1;
    return this.#count > this.#limit;
  }
}
