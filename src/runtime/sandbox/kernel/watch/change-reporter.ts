import type { FileWatchChange, FileWatchSink } from "../../watches.ts";

/** Reports the changes of one watch to its subscriber, and leaves out repetitions. */
export class ChangeReporter {
  readonly #sink: FileWatchSink;
  readonly #path: string;
  readonly #isOpen: () => boolean;
  /** Paths that were reported as created or modified since the last batch of events began. */
  readonly #reported = new Set<string>();
  #reportedOverflow = false;
  #hasReported = false;

  /**
   * @param path the watched path as the subscriber names it
   * @param isOpen `false` before the watch is ready and after its end. Nothing is reported then
   */
  constructor(sink: FileWatchSink, path: string, isOpen: () => boolean) {
    this.#sink = sink;
    this.#path = path;
    this.#isOpen = isOpen;
  }

  /** `true` if anything was reported since the last batch of events began. */
  get hasReported(): boolean {
    return this.#hasReported;
  }

  drained(): Promise<void> | null {
    return this.#sink.drained();
  }

  /** Begins a batch of events. */
  begin(): void {
    this.#reported.clear();
    this.#reportedOverflow = false;
    this.#hasReported = false;
  }

  report(change: FileWatchChange): void {
    if (!this.#isOpen()) return;
    const { type, path } = change;
    if (type === "modified" && this.#reported.has(path)) return;
    if (type === "created" || type === "modified") this.#reported.add(path);
    this.#hasReported = true;
    this.#sink.report(change);
  }

  /** Reports that events were lost, once a batch. */
  overflow(): void {
    if (this.#reportedOverflow) return;
    this.#reportedOverflow = true;
    this.report({ type: "overflow", path: this.#path });
  }

  /** Forgets a path: another file may have it from now on. */
  forget(path: string): void {
    this.#reported.delete(path);
  }
}
