import { pause } from "../sandbox/pace.ts";

/** Characters from which on a line takes milliseconds to be understood. */
const LARGE_CHARS = 64 * 1024;

/**
 * Hands lines on in order: at once, but for large ones, before which the event loop may have to turn. One of 16 MiB takes
 * 0.2 s; those of many agents must not hold the server one behind the other.
 */
export class LineQueue {
  readonly #onLine: (line: string) => void;
  readonly #onBusy: (isBusy: boolean) => void;
  #waiting: string[] = [];
  /** How many of them have been handed on. */
  #count = 0;
  #isHanding = false;
  #handed: Promise<void> = Promise.resolve();

  /** @param onBusy whether lines wait, so that no more should come */
  constructor(onLine: (line: string) => void, onBusy: (isBusy: boolean) => void) {
    this.#onLine = onLine;
    this.#onBusy = onBusy;
  }

  push(line: string): void {
    if (!this.#isHanding && line.length < LARGE_CHARS) {
      this.#onLine(line);
      return;
    }
    this.#waiting.push(line);
    if (!this.#isHanding) this.#handed = this.#handAll();
  }

  /** What waits is not handed on. */
  stop(): void {
    this.#waiting = [];
    this.#count = 0;
  }

  /** Resolves when nothing waits. */
  idle(): Promise<void> {
    return this.#handed;
  }

  async #handAll(): Promise<void> {
    this.#isHanding = true;
    let isBusy = false;
    for (let line = this.#waiting[0]; line !== undefined; line = this.#waiting[this.#count]) {
      const turn = line.length < LARGE_CHARS ? null : pause();
      if (turn !== null) {
        if (!isBusy) this.#onBusy(true);
        isBusy = true;
        await turn;
        // It may have been stopped meanwhile.
        if (this.#waiting[this.#count] !== line) continue;
      }
      this.#count += 1;
      this.#onLine(line);
    }
    this.stop();
    this.#isHanding = false;
    if (isBusy) this.#onBusy(false);
  }
}
