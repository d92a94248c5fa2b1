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
  const ended = result.then(
    () => true,
    () => true,
  );
  for (let isOver = false; !isOver; ) {
    isOver = await Promise.race([ended, changed.promise.then(() => false)]);
    if (isOver || newest === undefined) continue;
    const { value } = newest;
    newest = undefined;
    changed = deferred();
    yield value;
    const pause = new AbortController();
    await Promise.race([ended, delay(UPDATE_MS, undefined, { signal: pause.signal }).catch(() => undefined)]);
    pause.abort();
  }
  yield await result;
}
