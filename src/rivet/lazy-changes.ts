import { AsyncLocalStorage } from "node:async_hooks";
import type { ChangeOptions } from "../runtime/store/store.ts";

const changes = new AsyncLocalStorage<ChangeOptions>();

/**
 * Makes a change of an actor's storage with the options of the runtime's store.
 *
 * For RivetKit 2.2, whose storage has no such options.
 */
export function withSync<Result>(options: ChangeOptions = {}, change: () => Result): Result {
  return changes.run(options, change);
}

/** Returns the options of the current change. */
export function changeOptions(): ChangeOptions {
  return changes.getStore() ?? {};
}
