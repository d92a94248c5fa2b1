import type { CheckpointResult } from "../../api/methods/snapshot-types.ts";
import type { Excludes } from "../filesystem/scan.ts";
import type { PersistentTree } from "../sandbox/persistent-tree.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import type { Archive } from "./archive.ts";
import { CheckpointReader, type Freezer, type LastCheckpoint } from "./checkpoint-reader.ts";

/** Takes checkpoints of one booted VM's tree. */
export class Checkpoints {
  readonly #archive: Archive;
  readonly #tree: PersistentTree;
  readonly #isExcluded: Excludes;
  #last: LastCheckpoint;
  /** Pays for the contents of the last checkpoint. */
  readonly #account: TreeAccount;

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
    this.#account.kind = "kept";
  }

  /** Gives the memory for the last checkpoint back. */
  close(): void {
    this.#account.close();
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
      const { reading, mapped, skipped } = tree;
      const { contents, unreadable } = reading;
      this.#last = { contents, mapped };
      // The reading's memory is free from here on.
      account.close();
      this.#account.reset();
      this.#account.charge(contents.bytes);
      return { files, bytes, skipped, unreadable };
    });
  }
}
