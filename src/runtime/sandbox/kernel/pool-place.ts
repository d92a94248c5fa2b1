import { readdirSync, readFileSync } from "node:fs";
import { access } from "node:fs/promises";
import { Semaphore } from "../../../base/semaphore.ts";
import { MAX_WAITING_THREADS } from "./limits.ts";

/** Time between two looks at work that waits. Work that three looks have seen makes its VM count as slow. @unit ms */
const LOOK_MS = 50;
/** Time for which a VM counts as slow, for each millisecond that it has kept a thread waiting. @unit ms */
const SLOW_FOR_EACH_MS = 600;
/** Threads of the pool that never wait for a program: for reads, compression and the like. */
const FREE_THREADS = 4;

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
/** Works of VMs that were not slow, which have given their places back and still keep a thread waiting. */
let leftBehind = 0;
let maxLeftBehind: number | undefined;
let timer: NodeJS.Timeout | undefined;
let isLooking = false;

/**
 * The place of one VM among the threads of Node's pool, for system calls in which a hostile program of the VM can keep the server
 * waiting. One thread waits for each VM, and MAX_WAITING_THREADS + 1 for all VMs. Work that is late takes none of these places if the pool
 * has threads to spare.
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
      const watched = this.#watch(ofAll);
      try {
        return await work(() => Object.assign(watched, { begun: performance.now(), overtaken: 0 }));
      } finally {
        working.delete(watched);
        lookLater();
        watched.leave();
      }
    } finally {
      this.#ofVm.release();
    }
  }

  #watch(ofAll: Semaphore): Work & { leave(): void } {
    let isLeftBehind = false;
    const isLate = (waitedMs: number) => {
      this.#slowUntil = Math.max(this.#slowUntil, performance.now() + SLOW_FOR_EACH_MS * waitedMs);
      maxLeftBehind ??= poolThreads() - FREE_THREADS - MAX_WAITING_THREADS - 1;
      if (isLeftBehind || ofAll === ofSlowVms || leftBehind >= maxLeftBehind) return;
      isLeftBehind = true;
      leftBehind += 1;
      ofAll.release();
    };
    const leave = () => {
      if (isLeftBehind) leftBehind -= 1;
      else ofAll.release();
    };
    const work = { begun: performance.now(), overtaken: 0, isLate, leave };
    working.add(work);
    lookLater();
    return work;
  }
}

/** Counts the threads of the pool. The environment says it only if it was set before Node has begun the pool. */
function poolThreads(): number {
  const tasks = "/proc/self/task";
  try {
    return readdirSync(tasks).filter(
      (task) => readFileSync(`${tasks}/${task}/comm`, "latin1") === "libuv-worker\n",
    ).length;
  } catch {
    // A thread has ended.
    return 0;
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
