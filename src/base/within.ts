import { deferred } from "./deferred.ts";

/**
 * Waits for work at most `ms` milliseconds. The work itself continues. The timer is cleared when the wait ends.
 *
 * @returns the result of the work, or `undefined` after the timeout
 * @throws the error of the work
 */
export async function within<Value>(work: Promise<Value>, ms: number): Promise<Value | undefined> {
  const { promise: late, resolve } = deferred<undefined>();
  const timer = setTimeout(() => resolve(undefined), Math.max(ms, 0));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for work until a signal is aborted. The work itself continues. The listener is removed when the wait ends.
 *
 * @throws the signal's reason, or the error of the work
 */
export async function unlessAborted<Value>(
  work: Value | PromiseLike<Value>,
  signal: AbortSignal,
): Promise<Value> {
  const { promise: aborted, reject } = deferred<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
