import { MAX_PREVIEW_ATTEMPTS } from "../limits.ts";

const MINUTE_MS = 60_000;

/** Counts the wrong passwords and tokens of one preview, at most MAX_PREVIEW_ATTEMPTS a minute. */
export class Attempts {
  #since = Number.NEGATIVE_INFINITY;
  #used = 0;

  /** Whether no further attempt is allowed now, right or wrong. Else a right guess would show itself. */
  get isLocked(): boolean {
    this.#refill();
    return this.#used >= MAX_PREVIEW_ATTEMPTS;
  }

  /** Seconds until the next attempt is allowed. */
  get waitSeconds(): number {
    return Math.max(1, Math.ceil((this.#since + MINUTE_MS - performance.now()) / 1000));
  }

  /** Counts an attempt before it is decided, so that attempts at the same time cannot pass the limit. */
  begin(): void {
    this.#refill();
    if (this.#used === 0) this.#since = performance.now();
    this.#used += 1;
  }

  /** The attempt was right. */
  forgive(): void {
    this.#used = Math.max(0, this.#used - 1);
  }

  #refill(): void {
    if (performance.now() - this.#since >= MINUTE_MS) this.#used = 0;
  }
}
