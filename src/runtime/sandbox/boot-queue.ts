import { availableParallelism } from "node:os";
import { Semaphore } from "../../base/semaphore.ts";

/**
 * Boots of one server at the same time: as many as it has CPUs, at least this many.
 * @unit boots
 * @past Further boots wait, in the order in which they were asked for.
 */
const MIN_BOOTING = 2;

/**
 * Time after which a boot no longer counts: it waits for something else than a CPU.
 * @unit ms
 * @past The next boot begins beside it.
 */
const SLOW_BOOT_MS = 5_000;

const capacity = Math.max(MIN_BOOTING, availableParallelism());
const places = new Semaphore(capacity);

/**
 * Runs a boot when it is its turn. Boots of all VMs of this process share one queue, whatever they are for: a new VM, a VM
 * that wakes, or a cron job.
 *
 * @throws the signal's reason, if it is aborted before the turn
 */
export async function bootInTurn<Result>(signal: AbortSignal, boot: () => Promise<Result>): Promise<Result> {
  await places.acquire(signal);
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const timer = setTimeout(end, SLOW_BOOT_MS);
  void over.then(() => places.release());
  try {
    return await boot();
  } finally {
    clearTimeout(timer);
    end();
  }
}

/** Number of boots that have begun and not ended. Boots wait only if there is one for each CPU. */
export function runningBoots(): number {
  return places.busy;
}
