import { invalidArgument } from "../../api/errors.ts";
import { batches, encodeJson, entryBytes, type Store, type StoreEntry } from "../store.ts";
import type { Archive } from "./archive.ts";
import { FIRST_HEAD, type Head } from "./head.ts";
import { HEAD, type Kind, keyOf } from "./keys.ts";

/** What is read at a time. */
const READ_BYTES = 4 * 1024 * 1024;

/** Some of the records of a tree, and where the next ones begin; `null` after the last. */
export interface ForkRecords {
  entries: StoreEntry[];
  next: number | null;
}

/**
 * The newest checkpoint as it lies in the store: its root, pages and packs, and last the head that makes them count. To
 * be read while no other checkpoint is taken, which could collect some of it.
 */
export class ForkSource {
  readonly #store: Store;
  readonly #records: readonly [Kind, number][];
  readonly #head: Head;

  constructor(store: Store, archive: Archive) {
    const { head, root } = archive;
    if (head.root === null) throw new Error("There is no checkpoint to fork");
    const { nextPack, nextPage, nextRoot, takenAt } = head;
    this.#store = store;
    this.#head = { ...FIRST_HEAD, generation: 1, root: head.root, nextPack, nextPage, nextRoot, takenAt };
    this.#records = [
      ["root", head.root],
      ...root.pages.map(([number]): [Kind, number] => ["page", number]),
      ...root.packs.map(([number]): [Kind, number] => ["pack", number]),
    ];
  }

  /** @param from what the last answer gave as `next`; 0 at first */
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
    // Alone, so that all others are stored before it.
    if (entries.length > 0) return { entries, next: end };
    return { entries: [[HEAD, encodeJson(this.#head)]], next: null };
  }
}

/** Fills a fresh VM's store. Until the last record is there the VM is fresh: what a broken fork leaves is not counted. */
export async function receiveFork(store: Store, read: (from: number) => Promise<ForkRecords>): Promise<void> {
  for (let from: number | null = 0; from !== null; ) {
    const records: ForkRecords = await read(from);
    for (const batch of batches(records.entries, entryBytes)) await store.put(batch);
    from = records.next;
  }
}
