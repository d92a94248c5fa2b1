import type { WatchedDirectory } from "./watched-directory.ts";

/** Where events and listings do not fit together, everything is looked at again once nothing has been odd for so long. */
const DOUBT_MS = 100;

/** Such looks take at most this part of the time. */
const MAX_LOOKING_PART = 0.05;

/** Directories that are remembered to have been missed. */
const MAX_MISSED = 1000;

export interface DoubtsParts {
  /** Whether what is asked for already may settle it. */
  isBusy(): boolean;
  /** A directory that is part of the tree and not watched. */
  isUnwatched(directory: WatchedDirectory): boolean;
  /** Looks at everything again. */
  look(): void;
}

/** When a watched tree has to be looked at again, because it may not be as events and listings had it. */
export class Doubts {
  readonly #parts: DoubtsParts;
  readonly #missed = new Set<WatchedDirectory>();
  #isOdd = false;
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #tookMs = 0;
  #closed = false;

  constructor(parts: DoubtsParts) {
    this.#parts = parts;
  }

  /** Directories were renamed, exchanged or replaced faster than they could be followed. */
  add(): void {
    this.#isOdd = true;
    this.#later();
  }

  /** A directory was not where an event had said. Mostly another event says that it has gone. */
  miss(directory: WatchedDirectory): void {
    if (this.#missed.size < MAX_MISSED) this.#missed.add(directory);
    else this.#isOdd = true;
    this.#later();
  }

  /** Everything is looked at from now on; what is odd from now on is another thing. */
  begin(): void {
    this.#isOdd = false;
    this.#missed.clear();
    this.#startedAt = performance.now();
  }

  end(): void {
    this.#tookMs = performance.now() - this.#startedAt;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#missed.clear();
  }

  #later(): void {
    if (this.#closed) return;
    if (this.#timer !== undefined) {
      this.#timer.refresh();
      return;
    }
    const delay = Math.max(DOUBT_MS, this.#tookMs / MAX_LOOKING_PART);
    this.#timer = setTimeout(() => this.#settle(), delay).unref();
  }

  #settle(): void {
    this.#timer = undefined;
    if (this.#parts.isBusy()) {
      this.#later();
      return;
    }
    const isMissing = [...this.#missed].some((directory) => this.#parts.isUnwatched(directory));
    this.#missed.clear();
    if (this.#isOdd || isMissing) this.#parts.look();
  }
}
