/** Longest wait before the clock is read again, in milliseconds: a clock that is set meanwhile is noticed then. */
const LONGEST_WAIT_MS = 60_000;

/** Calls back at a time of the wall clock, as long as this process lives. For a VM that nobody else wakes. */
export class TimerAlarm {
  readonly #ring: () => void;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;

  constructor(ring: () => void, now: () => number = Date.now) {
    this.#ring = ring;
    this.#now = now;
  }

  /** @param timestampMs in Unix milliseconds; `null` for never. Only the last one counts. */
  set(timestampMs: number | null): void {
    clearTimeout(this.#timer);
    if (timestampMs === null) return;
    const wait = Math.max(0, timestampMs - this.#now());
    this.#timer = setTimeout(
      () => (timestampMs <= this.#now() ? this.#ring() : this.set(timestampMs)),
      Math.min(wait, LONGEST_WAIT_MS),
    ).unref();
  }
}
