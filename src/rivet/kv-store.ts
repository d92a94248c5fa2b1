import { pause } from "../base/pace.ts";
import { batches, checkBatch, rangeOf, type Store, type StoreEntry } from "../runtime/store/store.ts";
import { withSync } from "./lazy-changes.ts";

type Value = Uint8Array<ArrayBuffer>;
const BINARY = { type: "binary" } as const;

/** The part of an actor's key-value storage that a store needs. 2.2 has `getBatch`, 2.3 has `batchGet`, and so on. */
export interface ActorKv {
  deleteRange(start: string, end: string): Promise<void>;
  listRange(
    start: string,
    end: string,
    options: { type: "binary"; keyType: "text"; limit?: number },
  ): Promise<[string, Uint8Array][]>;
  getBatch?(keys: string[], options: typeof BINARY): Promise<(Uint8Array | null)[]>;
  putBatch?(entries: [string, Value][], options: typeof BINARY): Promise<void>;
  deleteBatch?(keys: string[]): Promise<void>;
  batchGet?(keys: string[], options: typeof BINARY): Promise<(Uint8Array | null)[]>;
  batchPut?(entries: [string, Value][], options: typeof BINARY): Promise<void>;
  batchDelete?(keys: string[]): Promise<void>;
}

/**
 * Makes the runtime's store out of an actor's key-value storage. Values are on disk when a call resolves.
 *
 * For RivetKit 2.2 and 2.3, whose methods have different names. RivetKit may sync to disk within a call, which holds the
 * event loop, so calls wait for their turn like file work.
 */
export function kvStore(kv: ActorKv): Store {
  const getBatch = method(kv, "getBatch", "batchGet");
  const putBatch = method(kv, "putBatch", "batchPut");
  const deleteBatch = method(kv, "deleteBatch", "batchDelete");
  return {
    async get(keys) {
      const values: (Uint8Array | undefined)[] = [];
      for (const batch of batches(keys)) {
        await pause();
        for (const value of await getBatch(batch, BINARY)) values.push(value ?? undefined);
      }
      return values;
    },
    async put(entries, options) {
      checkBatch(entries);
      if (entries.length === 0) return;
      await pause();
      // RivetKit's type excludes shared memory, which the runtime never passes.
      await withSync(options, () => putBatch(entries as [string, Value][], BINARY));
    },
    async delete(keys) {
      for (const batch of batches(keys)) {
        await pause();
        await deleteBatch(batch);
      }
    },
    async deleteRange(from, to, options) {
      await pause();
      await withSync(options, () => kv.deleteRange(from, to));
    },
    async list(prefix, { after, limit } = {}): Promise<StoreEntry[]> {
      const { from, to } = rangeOf(prefix, after);
      await pause();
      return await kv.listRange(from, to, {
        type: "binary",
        keyType: "text",
        ...(limit !== undefined && { limit }),
      });
    },
  };
}

function method<First extends keyof ActorKv, Second extends keyof ActorKv>(
  kv: ActorKv,
  first: First,
  second: Second,
): NonNullable<ActorKv[First] & ActorKv[Second]> {
  const found = kv[first] ?? kv[second];
  if (typeof found !== "function") throw new Error(`RivetKit's storage has neither ${first} nor ${second}`);
  return found.bind(kv) as NonNullable<ActorKv[First] & ActorKv[Second]>;
}
