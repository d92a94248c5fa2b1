import type { CheckpointResult } from "../../api/methods/snapshot-types.ts";
import { visitAll } from "../../base/pace.ts";
import type { Excludes } from "../filesystem/scan.ts";
import type { PersistentTree } from "../sandbox/persistent-tree.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import type { Archive } from "./archive.ts";
import { CheckpointReader, type Freezer, type LastCheckpoint } from "./checkpoint-reader.ts";

/** Memory of the known content of a file, and of one chunk. */
const CONTENT_BYTES = 160;
const CHUNK_BYTES = 200;

/** Takes checkpoints of one booted VM's tree. */
export class Checkpoints {
  readonly #archive: Archive;
  readonly #tree: PersistentTree;
  readonly #isExcluded: Excludes;
  #last: LastCheckpoint;
  /** Pays for the contents of the last checkpoint. */
  readonly #account: TreeAccount;
  #isClosed = false;

  /** @param restored the files as they were restored, so that the first checkpoint need not read them */
  constructor(
    archive: Archive,
    tree: PersistentTree,
    isExcluded: Excludes,
    restored: LastCheckpoint["contents"],
  ) {
    this.#archive = archive;
    this.#tree = tree;
    this.#isExcluded = isExcluded;
    this.#last = { contents: restored, mapped: new Set() };
    this.#account = tree.budget.open();
  }

  /** Gives the memory for the last checkpoint back. */
  close(): void {
    this.#isClosed = true;
    this.#account.release();
  }

  /** Whether the last checkpoint has a file. */
  async has(path: string): Promise<boolean> {
    const node = await this.#tree.stat(path).catch(() => undefined);
    return node !== undefined && this.#last.contents.has(node.ino);
  }

  /**
   * Stores the tree as of one moment.
   *
   * @param mark is called at that moment, when only file methods change the tree. Returns the number of the first journal
   * record after it. A later call replaces an earlier call.
   * @param freezer stops the processes of the VM while the tree is read
   */
  async take(mark: () => Promise<number>, freezer: Freezer): Promise<CheckpointResult> {
    return await this.#tree.budget.reading(async (account) => {
      const { tree, files, bytes } = await this.#archive.save((packs, chunks) => {
        const isWasteful = chunks.isWasteful.bind(chunks);
        const isExcluded = this.#isExcluded;
        const reader = new CheckpointReader({ tree: this.#tree, packs, isExcluded, isWasteful, account });
        return reader.read(this.#last, mark, freezer);
      });
      const { contents, mapped, skipped, unreadable } = tree;
      this.#last = { contents, mapped };
      const kept = await bytesOf(contents);
      account.release();
      this.#account.release();
      if (!this.#isClosed) this.#account.charge(kept);
      return { files, bytes, skipped, unreadable };
    });
  }
}

async function bytesOf(contents: LastCheckpoint["contents"]): Promise<number> {
  let bytes = 0;
  await visitAll(contents.values(), ({ chunks }) => {
    bytes += CONTENT_BYTES + chunks.length * CHUNK_BYTES;
  });
  return bytes;
}
