import { parseJson } from "../../base/json.ts";

/** When a change must be on disk. */
export interface ChangeOptions {
  /** `true`: at the latest with the next change that is not lazy. The changes of a store reach the disk in order. @default false, before the call resolves */
  isLazy?: boolean;
  /** `true`: earlier lazy changes count with this one. It fails once if the disk has lost values of some of them. @default false */
  isCommit?: boolean;
}

/** Options of a change that counts only together with a later one. A store that syncs the disk does so once for all of them. */
export const LAZY: ChangeOptions = { isLazy: true };

/** Options of the change that makes earlier lazy ones count. */
export const COMMIT: ChangeOptions = { isCommit: true };

/** A key in printable ASCII and its value. */
export type StoreEntry = [key: string, value: Uint8Array];

/** Largest value, in bytes. */
export const MAX_STORE_VALUE_BYTES = 120 * 1024;

/** Most entries of one `put`. */
const MAX_STORE_BATCH_ENTRIES = 120;

/** Keys and values of one `put` together, in bytes. */
export const MAX_STORE_BATCH_BYTES = 900 * 1024;

/**
 * Durable storage of one VM: small values under ordered keys. The effect of a resolved call survives the death of the
 * server, and the death of the machine unless the call is lazy. A failed call may have had its effect all the same, if only its answer was lost. For the keys see keys.ts.
 */
export interface Store {
  /** Whether a change whose call has failed may still be on its way. @default false: a read after the call tells whether it was made */
  readonly isRemote?: boolean;
  /** Whether an earlier instance of the VM may still try to change the store. Known after the first access. @default false */
  readonly hasRival?: boolean;
  /** Makes sure that the VM's instance may still change the store. @throws AgentVmError `vm_stopped` @default it may */
  confirm?(): Promise<void>;
  /** Reads values in the order of the keys, `undefined` for a missing value. Takes any number of keys. */
  get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** Stores all entries or none, within the limits of a batch. */
  put(entries: readonly StoreEntry[], options?: ChangeOptions): Promise<void>;
  /** Deletes any number of keys. It is atomic within one batch only. */
  delete(keys: readonly string[]): Promise<void>;
  /** Deletes all keys from `from` on and before `to`. A failed call may have deleted some. */
  deleteRange(from: string, to: string, options?: ChangeOptions): Promise<void>;
  /** Lists entries whose key begins with a prefix, in the order of their keys: all, or the first `limit`. */
  list(prefix: string, options?: { after?: string; limit?: number }): Promise<StoreEntry[]>;
}

/** A character that sorts after every character of a key. */
const LAST = "\x7f";

/** The range of keys that begin with a prefix, in the form of `deleteRange`. */
export function rangeOf(prefix: string, after?: string): { from: string; to: string } {
  return { from: after === undefined ? prefix : `${after}\0`, to: `${prefix}${LAST}` };
}

/** Cuts items into batches, for work that need not be atomic as a whole. */
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

/** Bytes of an entry in a batch. */
export function entryBytes([key, value]: StoreEntry): number {
  return key.length + value.byteLength;
}

/** Cuts a value into entries of at most `maxBytes` each. An empty value is one entry. */
export function cutValue(value: Uint8Array, maxBytes: number, keyOf: (part: number) => string): StoreEntry[] {
  const entries: StoreEntry[] = [];
  for (let offset = 0; offset === 0 || offset < value.length; offset += maxBytes) {
    entries.push([keyOf(entries.length), value.subarray(offset, offset + maxBytes)]);
  }
  return entries;
}

/** Puts any number of entries, batch by batch. */
export async function putAll(
  store: Store,
  entries: readonly StoreEntry[],
  options?: ChangeOptions,
): Promise<void> {
  for (const batch of batches(entries, entryBytes)) await store.put(batch, options);
}

/** Counts how many of the first groups fit into one `put`, each group whole. At least 1. */
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
 * Lists entries whose key begins with a prefix, in the order of their keys.
 *
 * @param after lists only later keys
 * @param limit entries that are read in one step, which holds the event loop
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

/** Decodes like `decodeJson`. @returns `undefined` if the bytes are not JSON */
export function tryDecodeJson(value: Uint8Array): unknown {
  return parseJson(Buffer.from(value).toString("utf8"));
}

/** Storage in memory, for a VM without a server and for tests. */
export class MemoryStore implements Store {
  readonly #values = new Map<string, Uint8Array>();

  async get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => copyOf(this.#values.get(key)));
  }

  async put(entries: readonly StoreEntry[]): Promise<void> {
    checkBatch(entries);
    for (const [key, value] of entries) this.#values.set(key, new Uint8Array(value));
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
    return keys.slice(0, limit).map((key) => [key, copyOf(this.#values.get(key)) ?? new Uint8Array()]);
  }
}

/** Copies a value. `slice` of a Buffer would share its memory, which a reader may free. */
function copyOf(value: Uint8Array | undefined): Uint8Array | undefined {
  return value && new Uint8Array(value);
}

/** @throws RangeError for a batch past the limits: a mistake of the caller */
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
