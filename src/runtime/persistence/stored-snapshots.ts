import { AgentVmError } from "../../api/errors.ts";
import type { SnapshotInfo } from "../../api/methods/snapshot-types.ts";
import { Semaphore } from "../../base/semaphore.ts";
import type { Store } from "../store/store.ts";
import { Damage, isStorageDamaged, storageDamaged } from "./codec.ts";
import { type FileEntry, isHole } from "./entries.ts";
import { findSnapshot, infoOf, loadHead } from "./head.ts";
import { loadTree, StoredTree } from "./root.ts";

/**
 * Reads of the stored snapshots of one VM at the same time.
 * @unit reads
 * @past Further reads wait.
 */
const MAX_SNAPSHOT_READS = 2;

/**
 * The snapshots of a VM as its store has them, for readers that boot nothing and wait for no checkpoint. The records of a
 * snapshot never change.
 */
export class StoredSnapshots {
  readonly #store: Store | undefined;
  readonly #reading = new Semaphore(MAX_SNAPSHOT_READS);

  /** @param store `undefined`: every method throws `no_storage` */
  constructor(store: Store | undefined) {
    this.#store = store;
  }

  /** Snapshots, oldest first. */
  async list(): Promise<SnapshotInfo[]> {
    return (await loadHead(this.#opened())).snapshots.map(infoOf);
  }

  /**
   * Reads the trees of snapshots.
   *
   * @throws AgentVmError `snapshot_not_found`, also if a snapshot is deleted meanwhile; `storage_damaged`
   */
  read<Result>(ids: readonly string[], work: (trees: StoredTree[]) => Promise<Result>): Promise<Result> {
    return this.#reading.run(() => this.#read(ids, work));
  }

  async #read<Result>(
    ids: readonly string[],
    work: (trees: StoredTree[]) => Promise<Result>,
  ): Promise<Result> {
    const store = this.#opened();
    const head = await loadHead(store);
    const roots = ids.map((id) => findSnapshot(head, id).root);
    try {
      return await work(
        await Promise.all(roots.map(async (root) => new StoredTree(store, await loadTree(store, root)))),
      );
    } catch (error) {
      if (!(error instanceof Damage) && !isStorageDamaged(error)) throw error;
      const now = await loadHead(store);
      for (const id of ids) findSnapshot(now, id);
      throw error instanceof Damage ? storageDamaged(error.message) : error;
    }
  }

  #opened(): Store {
    if (this.#store === undefined) throw noStorage();
    return this.#store;
  }
}

/** Reads a part of a file. The part ends where the file ends. @throws Damage */
export async function readPart(
  { packs }: StoredTree,
  { chunks, size }: FileEntry,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const end = Math.min(size, offset + length);
  const content = new Uint8Array(Math.max(0, end - offset));
  let at = 0;
  for (const chunk of chunks) {
    const [from, to] = [Math.max(at, offset), Math.min(at + chunk.length, end)];
    if (from < to && !isHole(chunk))
      content.set((await packs.read(chunk)).subarray(from - at, to - at), from - offset);
    at += chunk.length;
    if (at >= end) break;
  }
  return content;
}

export function noStorage(): AgentVmError {
  return new AgentVmError("no_storage", "This VM has no storage for its files");
}
