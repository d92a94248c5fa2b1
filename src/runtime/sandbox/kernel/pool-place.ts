import { access } from "node:fs/promises";
import { Semaphore } from "../../../base/semaphore.ts";
import { MAX_WAITING_THREADS } from "./limits.ts";

/** Time between two looks at work that waits. Work that three looks have seen makes its VM count as slow. @unit ms */
const LOOK_MS = 50;
/** Time for which a VM counts as slow, for each millisecond that it has kept a thread waiting. @unit ms */
const SLOW_FOR_EACH_MS = 600;

interface Work {
  /** Time at which its last request began. */
  begun: number;
  /** Looks that overtook its last request. */
  overtaken: number;
  isLate(waitedMs: number): void;
}

const ofVms = new Semaphore(MAX_WAITING_THREADS);
/** One place for all VMs that have kept threads waiting, so that they keep no other VM's work waiting. */
const ofSlowVms = new Semaphore(1);
const working = new Set<Work>();
let timer: NodeJS.Timeout | undefined;
let isLooking = false;

/**
 * The place of one VM among the threads of Node's pool, for system calls in which a hostile program of the VM can keep the server
 * waiting. One thread waits for each VM, and MAX_WAITING_THREADS + 1 for all VMs.
 */
export class PoolPlace {
  readonly #ofVm = new Semaphore(1);
  #slowUntil = 0;

  /** Whether its VM shares the place of all VMs that have kept threads waiting. */
  get isSlow(): boolean {
    return performance.now() < this.#slowUntil;
  }

  /**
   * Works in a thread of the pool when the VM has a place there. The place is free again when the work ends.
   *
   * @param work calls `next` before each request to the pool but the first: the pool may be busy, and each request has a wait of its own
   * @param signal ends the wait for the place, but not the work
   * @throws the signal's reason, or the error of the work
   */
  async run<Result>(work: (next: () => void) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    await this.#ofVm.acquire(signal);
    try {
      const ofAll = this.isSlow ? ofSlowVms : ofVms;
      await ofAll.acquire(signal);
      const watched = this.#watch();
      try {
        return await work(() => Object.assign(watched, { begun: performance.now(), overtaken: 0 }));
      } finally {
        working.delete(watched);
        lookLater();
        ofAll.release();
      }
    } finally {
      this.#ofVm.release();
    }
  }

  #watch(): Work {
    const isLate = (waitedMs: number) => {
      this.#slowUntil = Math.max(this.#slowUntil, performance.now() + SLOW_FOR_EACH_MS * waitedMs);
    };
    const work = { begun: performance.now(), overtaken: 0, isLate };
    working.add(work);
    lookLater();
    return work;
  }
}

/** Looks as long as work is under way. One look at a time: several that a busy pool begins together say no more than one. */
function lookLater(): void {
  if (working.size === 0) {
    clearTimeout(timer);
    timer = undefined;
  } else if (!isLooking) timer ??= setTimeout(look, LOOK_MS).unref();
}

/**
 * The pool begins work in its order: if later work ends first, again and again, the earlier work itself waits, and not the pool or the
 * event loop.
 */
async function look(): Promise<void> {
  timer = undefined;
  isLooking = true;
  const seen = [...working].map((work) => ({ work, begun: work.begun }));
  await access("/");
  isLooking = false;
  for (const { work, begun } of seen) {
    // Its last request came after this look.
    if (work.begun !== begun) continue;
    work.overtaken += 1;
    if (work.overtaken >= 3 && working.has(work)) work.isLate(performance.now() - work.begun);
  }
  lookLater();
}
