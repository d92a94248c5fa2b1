import type { WatchedDirectory } from "./watched-directory.ts";

/** A rescan starts when no request for it has come for this long. */
const QUIET_MS = 100;

/** Largest share of time that rescans take. */
const MAX_RESCAN_SHARE = 0.05;

/** Directories that `requestIfUnwatched` remembers. Above that number a rescan is certain. */
const MAX_MISSED = 1000;

interface RescanTimerDeps {
  /** `true` while requests are running whose answers may make the rescan unnecessary. */
  isBusy(): boolean;
  /** `true` for a directory of the tree that is not watched. */
  isUnwatched(directory: WatchedDirectory): boolean;
  /** Scans the whole tree again. */
  rescan(): void;
}

/** Starts a rescan of a watched tree some time after its events and listings contradicted each other. */
export class RescanTimer {
  readonly #deps: RescanTimerDeps;
  readonly #missed = new Set<WatchedDirectory>();
  #isRequested = false;
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #tookMs = 0;
  #closed = false;

  constructor(deps: RescanTimerDeps) {
    this.#deps = deps;
  }

  /** Requests a rescan: directories were renamed, exchanged or replaced faster than the tree could follow. */
  request(): void {
    this.#isRequested = true;
    this.#later();
  }

  /**
   * Requests a rescan unless the directory is watched or gone by then. Its path did not exist although an event named
   * it. Usually another event reports its removal.
   */
  requestIfUnwatched(directory: WatchedDirectory): void {
    if (this.#missed.size < MAX_MISSED) this.#missed.add(directory);
    else this.#isRequested = true;
    this.#later();
  }

  /** A rescan begins. Requests from now on need another rescan. */
  begin(): void {
    this.#isRequested = false;
    this.#missed.clear();
    this.#startedAt = performance.now();
  }

  /** The rescan has ended. */
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
    const delay = Math.max(QUIET_MS, this.#tookMs / MAX_RESCAN_SHARE);
    this.#timer = setTimeout(() => this.#check(), delay).unref();
  }

  #check(): void {
    this.#timer = undefined;
    if (this.#deps.isBusy()) {
      this.#later();
      return;
    }
    const isMissing = [...this.#missed].some((directory) => this.#deps.isUnwatched(directory));
    this.#missed.clear();
    if (this.#isRequested || isMissing) this.#deps.rescan();
  }
}
