/** A key in printable ASCII and its value. */
export type StoreEntry = [key: string, value: Uint8Array];

/** Largest value, in bytes. */
export const MAX_STORE_VALUE_BYTES = 120 * 1024;

/** Most entries of one `put`. */
export const MAX_STORE_BATCH_ENTRIES = 120;

/** Keys and values of one `put` together, in bytes. */
export const MAX_STORE_BATCH_BYTES = 900 * 1024;

/**
 * Durable storage of one VM: small values under ordered keys. A call that has resolved survives the death of the server.
 * One that has failed may have been done all the same, its answer lost.
 * Each room of the runtime keeps its keys under a prefix of its own, such as `fs/`.
 */
export interface Store {
  /** The values in the order of the keys, `undefined` where there is none. Any number of keys. */
  get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** All of the entries or none of them, within the limits above. */
  put(entries: readonly StoreEntry[]): Promise<void>;
  /** Any number of keys; more than one batch of them is not atomic. */
  delete(keys: readonly string[]): Promise<void>;
  /** Deletes all keys from `from` on and before `to`; where it fails, any of them. */
  deleteRange(from: string, to: string): Promise<void>;
  /** Entries whose key begins with a prefix, in the order of their keys: all of them, or the first `limit`. */
  list(prefix: string, options?: { after?: string; limit?: number }): Promise<StoreEntry[]>;
}

/** Comes after every key. */
const LAST = "\x7f";

/** The keys that begin with a prefix, as the half-open range that `deleteRange` takes. */
export function rangeOf(prefix: string, after?: string): { from: string; to: string } {
  return { from: after === undefined ? prefix : `${after}\0`, to: `${prefix}${LAST}` };
}

/** Parts of at most one batch each, for calls that need not be atomic as a whole. */
export function* batches<Item>(
  items: readonly Item[],
  bytesOf: (item: Item) => number = () => 0,
): Generator<Item[]> {
  let batch: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = bytesOf(item);
    if (
      batch.length === MAX_STORE_BATCH_ENTRIES ||
      (batch.length > 0 && bytes + size > MAX_STORE_BATCH_BYTES)
    ) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** Bytes of an entry as a batch counts them. */
export function entryBytes([key, value]: StoreEntry): number {
  return key.length + value.byteLength;
}

/**
 * How many of the first groups go into one put together: each is put whole, and the first one always goes.
 */
export function countInBatch(groups: readonly { readonly entries: readonly StoreEntry[] }[]): number {
  let count = 0;
  let entries = 0;
  let bytes = 0;
  for (const group of groups) {
    entries += group.entries.length;
    bytes += group.entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
    if (count > 0 && (entries > MAX_STORE_BATCH_ENTRIES || bytes > MAX_STORE_BATCH_BYTES)) break;
    count += 1;
  }
  return count;
}

/**
 * All entries below a prefix, or those of them after a key, in the order of their keys.
 *
 * @param limit entries that are read in one step, which holds the event loop.
 */
export async function* listAll(
  store: Store,
  prefix: string,
  { after, limit = 100 }: { after?: string | undefined; limit?: number } = {},
): AsyncGenerator<StoreEntry, void, void> {
  let last = after;
  for (;;) {
    const page = await store.list(prefix, { limit, ...(last !== undefined && { after: last }) });
    yield* page;
    if (page.length < limit) return;
    last = page.at(-1)?.[0];
  }
}

export function encodeJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value), "utf8");
}

export function decodeJson(value: Uint8Array): unknown {
  return JSON.parse(Buffer.from(value).toString("utf8"));
}

/** Storage that lasts as long as this process, for a VM without a server and for tests. */
export class MemoryStore implements Store {
  readonly #values = new Map<string, Uint8Array>();

  async get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => this.#values.get(key)?.slice());
  }

  async put(entries: readonly StoreEntry[]): Promise<void> {
    checkBatch(entries);
    for (const [key, value] of entries) this.#values.set(key, value.slice());
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#values.delete(key);
  }

  async deleteRange(from: string, to: string): Promise<void> {
    for (const key of this.#values.keys()) if (key >= from && key < to) this.#values.delete(key);
  }

  async list(
    prefix: string,
    { after, limit }: { after?: string; limit?: number } = {},
  ): Promise<StoreEntry[]> {
    const { from, to } = rangeOf(prefix, after);
    const keys = [...this.#values.keys()].filter((key) => key >= from && key < to).sort();
    return keys.slice(0, limit).map((key) => [key, this.#values.get(key)?.slice() ?? new Uint8Array()]);
  }
}

/** @throws RangeError for a batch that no storage takes: a mistake of the caller. */
export function checkBatch(entries: readonly StoreEntry[]): void {
  const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
  const largest = entries.reduce((most, [, value]) => Math.max(most, value.byteLength), 0);
  if (
    entries.length > MAX_STORE_BATCH_ENTRIES ||
    bytes > MAX_STORE_BATCH_BYTES ||
    largest > MAX_STORE_VALUE_BYTES
  ) {
    throw new RangeError(
      `${entries.length} entries, ${bytes} bytes, a value of ${largest}: too much for one batch`,
    );
  }
}
