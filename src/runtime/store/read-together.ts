import type { Store } from "./store.ts";

/**
 * Time after which values that no room has asked for are forgotten.
 * @unit ms
 */
const FORGET_MS = 10_000;

/**
 * Wraps a store so that the first reading of any of some keys reads all of them with one request. Behind a Rivet Engine each request is a
 * round trip, and the rooms of a VM read their records one after another while the VM starts.
 *
 * Each value is handed out once, and only if its key has not been changed since.
 *
 * @param keys keys of small values: all of them are in memory for some seconds
 */
export function readTogether(store: Store, keys: readonly string[]): Store {
  /** Keys whose values may be handed out. A key that was changed before the first reading is not among them. */
  const left = new Set(keys);
  let hasBegun = false;
  let reading: Promise<Map<string, Uint8Array | undefined>> | undefined;

  const forget = () => {
    left.clear();
    reading = undefined;
  };
  const read = async () => {
    const values = await store.get(keys);
    return new Map(keys.map((key, index) => [key, values[index]]));
  };
  const begin = () => {
    hasBegun = true;
    reading = read();
    // A reader gets the error. Later ones ask again.
    reading.catch(forget);
    setTimeout(forget, FORGET_MS).unref();
  };
  const changed = (isChanged: (key: string) => boolean) => {
    for (const key of left) if (isChanged(key)) left.delete(key);
  };
  return {
    async get(asked) {
      if (!hasBegun && asked.some((key) => left.has(key))) begin();
      if (reading === undefined || !asked.every((key) => left.has(key))) return await store.get(asked);
      const shared = reading;
      for (const key of asked) left.delete(key);
      if (left.size === 0) forget();
      const values = await shared;
      return asked.map((key) => values.get(key));
    },
    async put(entries, options) {
      changed((key) => entries.some(([each]) => each === key));
      await store.put(entries, options);
    },
    async delete(deleted) {
      changed((key) => deleted.includes(key));
      await store.delete(deleted);
    },
    async deleteRange(from, to, options) {
      changed((key) => key >= from && key < to);
      await store.deleteRange(from, to, options);
    },
    list: (prefix, options) => store.list(prefix, options),
  };
}
