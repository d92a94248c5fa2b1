import type { VmRows } from "./vm-rows.ts";

/**
 * Pause before the server tries again to note in the index that VMs have fallen asleep.
 * @unit ms
 */
const RETRY_MS = 1_000;

/** The last use and the begin of the sleep of a VM, in Unix milliseconds. */
interface Sleep {
  last_used_at: number;
  slept_at: number;
}

interface SleepsDeps {
  rows: Pick<VmRows, "change">;
  /** The index has the sleep of a VM. */
  onNoted(): void;
  /** Receives the first failure to note a sleep. */
  onFailure(error: unknown): void;
}

/** Notes in the index that VMs have fallen asleep, if it must later: the server counts on it to destroy them in their time. */
export class Sleeps {
  readonly #deps: SleepsDeps;
  /** Sleeps that the index does not have yet, by actor. */
  readonly #late = new Map<string, Sleep>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(deps: SleepsDeps) {
    this.#deps = deps;
  }

  note(actorId: string, sleep: Sleep): void {
    try {
      this.#write(actorId, sleep);
    } catch (error) {
      this.#late.set(actorId, sleep);
      this.#retryLater();
      this.#deps.onFailure(error);
    }
  }

  /** The VM is awake, or is being deleted. */
  forget(actorId: string): void {
    this.#late.delete(actorId);
  }

  /** Tries no more. The next server notes that no VM is awake. */
  close(): void {
    clearTimeout(this.#timer);
    this.#isClosed = true;
  }

  #retry(): void {
    this.#timer = undefined;
    try {
      for (const [actorId, sleep] of this.#late) {
        this.#write(actorId, sleep);
        this.#late.delete(actorId);
      }
    } catch {
      this.#retryLater();
    }
  }

  #retryLater(): void {
    if (this.#isClosed) return;
    this.#timer ??= setTimeout(() => this.#retry(), RETRY_MS).unref();
  }

  #write(actorId: string, sleep: Sleep): void {
    this.#deps.rows.change(actorId, { ...sleep, awake: 0 });
    this.#deps.onNoted();
  }
}
