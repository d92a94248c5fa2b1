import { pause } from "../../../base/pace.ts";

/** Length from which a line takes milliseconds to parse. */
const LARGE_CHARS = 64 * 1024;

/**
 * Passes lines on in order: small ones at once, large ones after a turn of the event loop if it is busy. A line of
 * 16 MiB takes 0.2 s to parse. Without such turns the lines of many agents would block the server for seconds.
 */
export class LineQueue {
  readonly #onLine: (line: string) => void;
  readonly #onBusy: (isBusy: boolean) => void;
  #waiting: string[] = [];
  /** Number of lines in `#waiting` that have been passed on. */
  #count = 0;
  #chars = 0;
  #isDraining = false;
  #drained: Promise<void> = Promise.resolve();

  /** @param onBusy called with `true` when the sender should pause, and with `false` when it may continue */
  constructor(onLine: (line: string) => void, onBusy: (isBusy: boolean) => void) {
    this.#onLine = onLine;
    this.#onBusy = onBusy;
  }

  /** Characters of the lines that wait. */
  get chars(): number {
    return this.#chars;
  }

  push(line: string): void {
    if (!this.#isDraining && line.length < LARGE_CHARS) {
      this.#onLine(line);
      return;
    }
    this.#waiting.push(line);
    this.#chars += line.length;
    if (!this.#isDraining) this.#drained = this.#drain();
  }

  /** Drops all waiting lines. */
  stop(): void {
    this.#waiting = [];
    this.#count = 0;
    this.#chars = 0;
  }

  /** Resolves when no line waits. */
  idle(): Promise<void> {
    return this.#drained;
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    let isBusy = false;
    for (let line = this.#waiting[0]; line !== undefined; line = this.#waiting[this.#count]) {
      const turn = line.length < LARGE_CHARS ? null : pause();
      if (turn !== null) {
        if (!isBusy) this.#onBusy(true);
        isBusy = true;
        await turn;
        // `stop` may have been called meanwhile.
        if (this.#waiting[this.#count] !== line) continue;
      }
      this.#count += 1;
      this.#chars -= line.length;
      this.#onLine(line);
    }
    this.stop();
    this.#isDraining = false;
    if (isBusy) this.#onBusy(false);
  }
}
