/** Longest pause between two checks, in milliseconds. A check may read all of /proc. */
const MAX_PAUSE_MS = 50;

/** Waits until a condition is true. Checks it at once, then with growing pauses. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = 5; !(await condition()); pauseMs = Math.min(pauseMs * 1.25, MAX_PAUSE_MS)) {
    if (Date.now() > deadline) throw new Error(`Still false after ${timeoutMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/**
 * Waits a fixed time, in which an event must not happen. On a busy machine the test may miss the event, but it never
 * fails without a reason.
 */
export function quietFor(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Returns the error that a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("Expected the promise to reject, but it resolved");
}

/** Returns a promise whose rejection ends nothing if a test fails before it waits for the promise. */
export function underWay<Value>(work: Promise<Value>): Promise<Value> {
  work.catch(() => undefined);
  return work;
}
