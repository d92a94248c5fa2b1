import { within } from "../base/within.ts";
import { beginDraining, isDraining } from "../monitoring/draining.ts";
import { isBehindEngine, leaveEngine } from "../rivet/engine-runner.ts";
import { DISPOSE_TIMEOUT_MS } from "./limits.ts";

interface Running {
  count: number;
  idle: PromiseWithResolvers<void>;
}

/** Calls that run now, by their VM. */
const running = new Map<object, Running>();

/** Longest wait of a VM for its calls, once the process shuts down. */
let drainLimitMs = 0;

/** Runs a call of a VM. `drain` and `drained` wait for its end. */
export async function asRunning<Result>(vm: object, call: () => Promise<Result>): Promise<Result> {
  const calls = running.get(vm) ?? { count: 0, idle: Promise.withResolvers<void>() };
  running.set(vm, calls);
  calls.count += 1;
  try {
    return await call();
  } finally {
    calls.count -= 1;
    if (calls.count === 0) {
      running.delete(vm);
      calls.idle.resolve();
    }
  }
}

/**
 * Makes this process refuse new calls with `server_stopping`, and waits for the calls that run. Behind a Rivet Engine each
 * VM ends as soon as its own calls have ended, and the wait lasts until the engine has every VM back.
 *
 * @param limitMs longest wait for calls
 */
export async function drain(limitMs: number): Promise<void> {
  drainLimitMs = limitMs;
  beginDraining();
  if (isBehindEngine()) await leaveEngine(limitMs + DISPOSE_TIMEOUT_MS);
  else await within(Promise.all([...running.values()].map(({ idle }) => idle.promise)), limitMs);
}

/** Waits for the running calls of a VM if this process shuts down. */
export async function drained(vm: object): Promise<void> {
  const calls = running.get(vm);
  if (calls !== undefined && isDraining()) await within(calls.idle.promise, drainLimitMs);
}
