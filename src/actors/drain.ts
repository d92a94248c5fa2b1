import { within } from "../base/within.ts";
import { beginDraining } from "../monitoring/draining.ts";

/** Calls of all VMs of this process that run now. */
let running = 0;
let idle: PromiseWithResolvers<void> | undefined;

/** Runs a call. `drain` waits for its end. */
export async function asRunning<Result>(call: () => Promise<Result>): Promise<Result> {
  running += 1;
  try {
    return await call();
  } finally {
    running -= 1;
    if (running === 0) idle?.resolve();
  }
}

/**
 * Makes this process refuse new calls with `server_stopping`, and waits for the calls that run.
 *
 * @param limitMs longest wait
 */
export async function drain(limitMs: number): Promise<void> {
  beginDraining();
  if (running === 0) return;
  idle ??= Promise.withResolvers<void>();
  await within(idle.promise, limitMs);
}
