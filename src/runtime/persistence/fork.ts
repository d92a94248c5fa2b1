import { invalidArgument } from "../../api/errors.ts";
import { type FileRecord, HEAD_KEY, keyOf } from "../store/keys.ts";
import { COMMIT, encodeJson, entryBytes, LAZY, putAll, type Store, type StoreEntry } from "../store/store.ts";
import { FIRST_HEAD, type Head, numberingOf } from "./head.ts";
import type { RootRecord } from "./root.ts";

/** Bytes that one `read` returns, up to the end of a record. */
const READ_BYTES = 4 * 1024 * 1024;

/** Some records of a tree. `next` is the number of the first record of the next read, or `null` after the last one. */
export interface ForkRecords {
  entries: StoreEntry[];
  next: number | null;
}

/**
 * The stored records of a checkpoint or a snapshot: its root, pages and packs, and last the head that makes them count. Read it
 * while no other checkpoint is taken: a checkpoint may delete its records.
 */
export class ForkSource {
  readonly #store: Store;
  readonly #records: readonly [FileRecord, number][];
  readonly #head: Head;

  constructor(store: Store, head: Head, root: RootRecord) {
    if (head.root === null) throw new Error("There is no checkpoint to fork");
    this.#store = store;
    this.#head = {
      ...FIRST_HEAD,
      version: head.version,
      ...numberingOf(head),
      generation: 1,
      root: head.root,
      takenAt: head.takenAt,
    };
    this.#records = [
      ["root", head.root],
      ...root.pages.map(([number]): [FileRecord, number] => ["page", number]),
      ...root.packs.map(([number]): [FileRecord, number] => ["pack", number]),
    ];
  }

  /** @param from `next` of the last result; 0 at first */
  async read(from: number): Promise<ForkRecords> {
    const end = this.#records.length;
    if (!Number.isInteger(from) || from < 0 || from > end)
      throw invalidArgument("from", `an integer from 0 to ${end}`, from);
    const entries: StoreEntry[] = [];
    let bytes = 0;
    let at = from;
    for (; at < end && bytes < READ_BYTES; at++) {
      const [kind, number] = this.#records[at]!;
      const parts = await this.#store.list(`${keyOf(kind, number)}/`);
      for (const part of parts) bytes += entryBytes(part);
      entries.push(...parts);
    }
    if (at < end) return { entries, next: at };
    // The head is read alone, so that all other records are stored before it.
    if (entries.length > 0) return { entries, next: end };
    return { entries: [[HEAD_KEY, encodeJson(this.#head)]], next: null };
  }
}

/**
 * Fills the store of a new VM. The head comes last: a fork that breaks off leaves the VM without files. Does nothing for a store with a
 * head: the files have come before, and the VM may have changed them.
 */
export async function receiveFork(store: Store, read: (from: number) => Promise<ForkRecords>): Promise<void> {
  const isFilled = async () => (await store.get([HEAD_KEY]))[0] !== undefined;
  if (await isFilled()) return;
  for (let from: number | null = 0; from !== null; ) {
    const records: ForkRecords = await read(from);
    const isLast = records.next === null;
    // Another server may have finished the fork, if this one has stood still.
    if (isLast && (await isFilled())) return;
    await putAll(store, records.entries, isLast ? COMMIT : LAZY);
    from = records.next;
  }
}
