import { setTimeout as delay } from "node:timers/promises";
import { deferred } from "../../base/deferred.ts";

/**
 * Shortest time between two updates of one call.
 * @unit ms
 */
const UPDATE_MS = 100;

/**
 * Yields the newest update of running work, and its result at the end. Updates that arrive while the reader is busy replace each
 * other. The work's error ends the iteration.
 */
export async function* updatesOf<Value>(
  work: (onUpdate: (value: Value) => void) => Promise<Value>,
): AsyncGenerator<Value, void> {
  let newest: { value: Value } | undefined;
  let changed = deferred<void>();
  const result = work((value) => {
    newest = { value };
    changed.resolve();
  });
  const over = new AbortController();
  const end = () => {
    over.abort();
    changed.resolve();
  };
  result.then(end, end);
  for (;;) {
    await changed.promise;
    if (over.signal.aborted || newest === undefined) break;
    const { value } = newest;
    newest = undefined;
    changed = deferred();
    yield value;
    await delay(UPDATE_MS, undefined, { signal: over.signal }).catch(() => undefined);
  }
  yield await result;
}
