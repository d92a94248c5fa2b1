/** Milliseconds of a pause that doubles each time, up to a longest one. */
export class BackOff {
  readonly #first: number;
  readonly #longest: number;
  #next: number;

  constructor(first: number, longest: number) {
    this.#first = first;
    this.#longest = longest;
    this.#next = first;
  }

  /** Whether the next pause is the first one. */
  get isFresh(): boolean {
    return this.#next === this.#first;
  }

  /** Returns the next pause, and doubles the one after it. */
  next(): number {
    const pause = this.#next;
    this.#next = Math.min(2 * pause, this.#longest);
    return pause;
  }

  /** Begins with the first pause again. */
  restart(): void {
    this.#next = this.#first;
  }

  /** Makes the next pause at least this long, up to the longest one. */
  stretch(ms: number): void {
    this.#next = Math.min(Math.max(this.#next, ms), this.#longest);
  }
}
