import type { VmRows } from "./vm-rows.ts";

/**
 * Longest wait before the server looks for VMs to destroy, because its clock may be set.
 * @unit ms
 */
const LONGEST_WAIT_MS = 60_000;

/**
 * Shortest wait before the server looks for VMs to destroy.
 * @unit ms
 */
const PACE_MS = 100;

/** VMs that are destroyed before the server looks again. */
const ROUND = 100;

export interface ExpiryDeps {
  rows: VmRows;
  /** Milliseconds of sleep after which VMs end, by actor name; `null`: never. A VM may have a time of its own. */
  lifetimes: ReadonlyMap<string, number | null>;
  /** Whether the actor is starting or awake. */
  isInUse(actorId: string): boolean;
  destroy(actorId: string): Promise<void>;
  onFailure(error: unknown): void;
}

/** Destroys VMs that have slept for their `destroyAfterMs`. */
export class Expiry {
  readonly #deps: ExpiryDeps;
  #timer: NodeJS.Timeout | undefined;
  #isRunning = false;
  #isClosed = false;

  constructor(deps: ExpiryDeps) {
    this.#deps = deps;
  }

  /** Sets the timer for the next VM. Call it when a VM has fallen asleep. */
  arm(): void {
    if (this.#isRunning || this.#isClosed) return;
    clearTimeout(this.#timer);
    const next = this.#next(1)[0];
    if (next === undefined) return;
    const wait = Math.max(PACE_MS, Math.min(next.at - Date.now(), LONGEST_WAIT_MS));
    this.#timer = setTimeout(() => void this.#run(), wait).unref();
  }

  /** Destroys no further VM. */
  close(): void {
    clearTimeout(this.#timer);
    this.#isClosed = true;
  }

  async #run(): Promise<void> {
    const { isInUse, destroy, onFailure } = this.#deps;
    this.#isRunning = true;
    try {
      for (const { actor_id, at } of this.#next(ROUND)) {
        if (this.#isClosed) return;
        // A VM that was used meanwhile has another end.
        const isDue =
          at <= Date.now() && this.#next(ROUND).some((end) => end.actor_id === actor_id && end.at === at);
        if (isDue && !isInUse(actor_id)) await destroy(actor_id).catch(onFailure);
      }
    } catch (error) {
      onFailure(error);
    } finally {
      this.#isRunning = false;
      try {
        this.arm();
      } catch (error) {
        onFailure(error);
      }
    }
  }

  #next(limit: number) {
    const { rows, lifetimes } = this.#deps;
    return [...lifetimes]
      .flatMap(([name, lifetime]) => rows.ends(name, lifetime, limit))
      .sort((a, b) => a.at - b.at)
      .slice(0, limit);
  }
}
