import { pause } from "../../base/pace.ts";
import type { ScannedNode } from "../filesystem/node-table.ts";
import { type Excludes, scanTree } from "../filesystem/scan.ts";
import type { PersistentTree, TreeCursor } from "../sandbox/persistent-tree.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import { storeContent } from "./contents.ts";
import type { Chunk } from "./entries.ts";
import { isSettled, isUnchanged, KnownContents } from "./known-contents.ts";
import type { PackWriter } from "./packs.ts";
import { TreeReading } from "./tree-reading.ts";

/** Attempts at reading the tree. A file that moves away while it is read starts the next attempt. */
const MAX_ATTEMPTS = 3;

/** Memory of an entry besides its node and its content. */
const ENTRY_BYTES = 8;

/** Stops the processes of a VM. */
export interface Freezer {
  /** Whether any process runs that could change files. */
  isBusy(): Promise<boolean>;
  /** A counter that grows when a process begins or ends that could change files. */
  changes(): number;
  /** Inodes of files that processes have mapped for writing: such writes do not change a file's times. */
  mappedFiles(): Promise<ReadonlySet<number>>;
  /** Stops every process. Call the result to resume them. */
  freeze(): Promise<() => void>;
}

/** State of the last checkpoint, for the next one. */
export interface LastCheckpoint {
  /** Content of the running VM's inodes when they were stored. */
  contents: KnownContents;
  /** Inodes that processes had mapped for writing. They may have changed since without new times. */
  mapped: ReadonlySet<number>;
}

/** A tree as of one moment. */
interface ConsistentTree {
  reading: TreeReading;
  /** Sockets, FIFOs and devices, which are not kept. */
  skipped: number;
  /** Number of the first journal record after that moment. */
  journal: number;
  mapped: ReadonlySet<number>;
}

type ReadTree = Pick<ConsistentTree, "reading" | "skipped">;

const NO_INODES: ReadonlySet<number> = new Set();

interface ReaderDeps {
  tree: PersistentTree;
  packs: PackWriter;
  isExcluded: Excludes;
  /** Whether unchanged content must be stored again, in another pack. */
  isWasteful(chunks: readonly Chunk[]): boolean;
  /** Pays for the tree. Its owner closes it when the tree is stored. */
  account: TreeAccount;
}

/** Reads a tree as of one moment, and stores the content of changed files. */
export class CheckpointReader {
  readonly #deps: ReaderDeps;

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
  }

  /**
   * @param last state of the last checkpoint
   * @param mark see Checkpoints.take
   */
  async read(last: LastCheckpoint, mark: () => Promise<number>, freezer: Freezer): Promise<ConsistentTree> {
    let before = last.contents;
    if (await freezer.isBusy()) {
      // Most files are read while processes run, so that the freeze is short.
      before = (await this.#readOnce(before, NO_INODES)).reading.contents;
    } else {
      const began = freezer.changes();
      const journal = await mark();
      const taken = await this.#readConsistent(before, last.mapped);
      if (freezer.changes() === began && !(await freezer.isBusy()))
        return { ...taken, journal, mapped: new Set() };
      // A process has begun or ended meanwhile.
      before = taken.reading.contents;
    }
    const thaw = await freezer.freeze();
    try {
      const mapped = await freezer.mappedFiles();
      const journal = await mark();
      const suspects = new Set([...last.mapped, ...mapped]);
      return { ...(await this.#readConsistent(before, suspects)), journal, mapped };
    } finally {
      thaw();
    }
  }

  /**
   * Call it when only file methods change the tree. The journal has their changes.
   *
   * @param suspects inodes that are read again even if their times are unchanged
   */
  async #readConsistent(known: KnownContents, suspects: ReadonlySet<number>): Promise<ReadTree> {
    let taken = await this.#readOnce(known, suspects);
    for (let attempt = 2; !taken.reading.isWhole && attempt <= MAX_ATTEMPTS; attempt++)
      // The next attempt does not read unchanged files again.
      taken = await this.#readOnce(taken.reading.contents, NO_INODES);
    return taken;
  }

  async #readOnce(before: KnownContents, suspects: ReadonlySet<number>): Promise<ReadTree> {
    const { tree, isExcluded, account } = this.#deps;
    // The entries of an earlier attempt are free.
    account.reset();
    const cursor = tree.cursor();
    try {
      const { nodes, skipped, unreadable } = await scanTree(cursor, { isExcluded, account });
      const reading = new TreeReading(nodes, before, unreadable);
      for (const row of nodes.rows()) {
        const turn = pause();
        if (turn !== null) await turn;
        await this.#readNode(row, reading, cursor, suspects);
      }
      await reading.readAttributes(tree);
      return { reading, skipped };
    } finally {
      await cursor.close();
    }
  }

  async #readNode(
    row: number,
    reading: TreeReading,
    cursor: TreeCursor,
    suspects: ReadonlySet<number>,
  ): Promise<void> {
    const node = reading.nodes.at(row);
    const { type, ino } = node;
    const { account, packs, isWasteful } = this.#deps;
    account.charge(ENTRY_BYTES + KnownContents.ROW_BYTES);
    if (type === "directory") readDirectory(row, node, reading);
    if (type === "symlink") await this.#readLink(row, node, reading, cursor);
    if (type !== "file") return;
    const isSuspect = suspects.has(ino) && !reading.contents.has(ino);
    const known = reading.contentOf(ino);
    const isUsable = !isSuspect && isUnchanged(known, node) && !isWasteful(known.chunks);
    const content = isUsable ? known : await storeContent(cursor, node, packs, account);
    if (content === "gone") reading.isWhole = false;
    else if (content === "unreadable") {
      // A file that cannot be read keeps its last stored content.
      reading.addUnreadable(node);
      if (known !== undefined)
        reading.setContent(row, ino, { ...known, settled: !isSuspect && known.settled });
    } else reading.setContent(row, ino, content);
  }

  async #readLink(row: number, node: ScannedNode, reading: TreeReading, cursor: TreeCursor): Promise<void> {
    let target: string;
    try {
      target = await cursor.readlink(node);
    } catch {
      // Something else has replaced the link.
      reading.isWhole = false;
      return;
    }
    this.#deps.account.charge(2 * target.length);
    reading.setTarget(row, target);
  }
}

/** A directory has no content. Its inode is known for the sake of its attributes. */
function readDirectory(row: number, node: ScannedNode, reading: TreeReading): void {
  const { mtimeMs, ctimeMs, size, ino } = node;
  const known = reading.before.get(ino);
  const isKnown = isUnchanged(known, node);
  const settled = isSettled(ctimeMs, Date.now());
  reading.setContent(row, ino, isKnown ? known : { size, mtimeMs, ctimeMs, chunks: [], settled });
}
