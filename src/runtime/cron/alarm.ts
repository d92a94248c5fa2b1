/** Longest wait before the clock is read again, in milliseconds, to notice a clock that was set meanwhile. */
const LONGEST_WAIT_MS = 60_000;

/** Calls back at a time of the wall clock, while this process lives. For a VM without a server that wakes it. */
export class TimerAlarm {
  readonly #ring: () => void;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;

  constructor(ring: () => void, now: () => number = Date.now) {
    this.#ring = ring;
    this.#now = now;
  }

  /** @param timestampMs Unix milliseconds, or `null` for never. Only the last call counts. */
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
