import type { CheckpointResult } from "../../api/methods/snapshot-types.ts";

/** A checkpoint follows the last event that may have changed files after this many milliseconds. */
const SETTLE_MS = 1_000;

export interface ScheduleDeps {
  /** Milliseconds between checkpoints while something runs. */
  intervalMs: number;
  take(): Promise<CheckpointResult>;
  /** Whether files may have changed since the last checkpoint. */
  isDirty(): boolean;
  /** Whether processes run that could change files. */
  isBusy(): Promise<boolean>;
  /** The VM must not be put to sleep while the promise is pending. */
  keepAwake(work: Promise<unknown>): void;
  /** Receives the failure of a background checkpoint. The next checkpoint tries again. */
  onFailure(error: unknown): void;
}

/** Decides when checkpoints are taken, and takes one at a time. */
export class CheckpointSchedule {
  readonly #deps: ScheduleDeps;
  readonly #interval: NodeJS.Timeout;
  #soon: NodeJS.Timeout | undefined;
  #running: Promise<CheckpointResult> | undefined;
  #queued: Promise<CheckpointResult> | undefined;
  #stopped = false;

  constructor(deps: ScheduleDeps) {
    this.#deps = deps;
    this.#interval = setInterval(() => void this.#tick(), deps.intervalMs).unref();
  }

  /** Takes a checkpoint of everything that happened before the call. */
  checkpoint(): Promise<CheckpointResult> {
    if (this.#running === undefined) return this.#startAwake();
    // The running checkpoint may have read files before they changed.
    this.#queued ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#queued = undefined;
        return this.#startAwake();
      });
    return this.#queued;
  }

  /** Takes a checkpoint when no further call follows for a while. */
  soon(): void {
    if (this.#stopped) return;
    if (this.#soon !== undefined) {
      this.#soon.refresh();
      return;
    }
    const settled = () => {
      this.#soon = undefined;
      if (this.#deps.isDirty()) this.background();
    };
    this.#soon = setTimeout(settled, SETTLE_MS).unref();
  }

  /** Takes a checkpoint unless one is running. */
  background(): void {
    this.#unlessRunning(() => this.#startAwake());
  }

  #unlessRunning(start: () => Promise<CheckpointResult>): void {
    if (this.#stopped || this.#running !== undefined) return;
    start().catch((error: unknown) => {
      if (!this.#stopped) this.#deps.onFailure(error);
    });
  }

  /** Starts no more checkpoints by itself. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#interval);
    clearTimeout(this.#soon);
  }

  /** Resolves when the running checkpoint has ended. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  #startAwake(): Promise<CheckpointResult> {
    const running = this.#start();
    this.#deps.keepAwake(running);
    return running;
  }

  #start(): Promise<CheckpointResult> {
    const running = this.#deps.take();
    this.#running = running;
    const done = () => {
      if (this.#running === running) this.#running = undefined;
    };
    running.then(done, done);
    return running;
  }

  /** Takes a checkpoint of what background children change. It must not postpone the VM's sleep, which takes another one. */
  async #tick(): Promise<void> {
    try {
      if (this.#deps.isDirty() || (await this.#deps.isBusy())) this.#unlessRunning(() => this.#start());
    } catch (error) {
      this.#deps.onFailure(error);
    }
  }
}
