import { AsyncLocalStorage } from "node:async_hooks";

const storage = new AsyncLocalStorage<AbortSignal>();

/** Does a call's work; `callerGone` inside of it answers the signal. */
export function withCaller<Result>(gone: AbortSignal, work: () => Result): Result {
  return storage.run(gone, work);
}

/** Aborts when nobody waits for the call any more that this is the work of; for work that is worth nothing then. */
export function callerGone(): AbortSignal | undefined {
  return storage.getStore();
}
