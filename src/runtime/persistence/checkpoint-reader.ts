import { pause, visitAll } from "../../base/pace.ts";
import { type Excludes, type ScannedNode, scanTree } from "../filesystem/scan.ts";
import type { PersistentTree, TreeCursor, TreePlace } from "../sandbox/persistent-tree.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import { pathOf } from "../sandbox/tree-path.ts";
import { TreeAttributes } from "./attributes.ts";
import { isSettled, isUnchanged, type KnownContent, storeContent } from "./contents.ts";
import type { Chunk, DirectoryEntry, FileEntry, TreeEntry } from "./entries.ts";
import type { PackWriter } from "./packs.ts";

/** Attempts at reading the tree. A file that moves away while it is read starts the next attempt. */
const MAX_ATTEMPTS = 3;

/** Memory of an entry, and of new content without its chunks. */
const ENTRY_BYTES = 150;
const CONTENT_BYTES = 200;

/** Unreadable paths that a checkpoint reports. */
const MAX_REPORTED_PATHS = 100;

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
  contents: ReadonlyMap<number, KnownContent>;
  /** Inodes that processes had mapped for writing. They may have changed since without new times. */
  mapped: ReadonlySet<number>;
}

/** A tree as of one moment. */
interface ConsistentTree extends ReadTree {
  /** Number of the first journal record after that moment. */
  journal: number;
  mapped: ReadonlySet<number>;
}

interface ReadTree {
  entries: TreeEntry[];
  /** Content that was known before. */
  before: ReadonlyMap<number, KnownContent>;
  contents: Map<number, KnownContent>;
  attributes: TreeAttributes;
  skipped: number;
  unreadable: string[];
  reader: TreeCursor;
  /** No file moved away between the scan and the reading. */
  isWhole: boolean;
}

interface ReaderDeps {
  tree: PersistentTree;
  packs: PackWriter;
  isExcluded: Excludes;
  /** Whether unchanged content must be stored again, in another pack. */
  isWasteful(chunks: readonly Chunk[]): boolean;
  /** Pays for the tree. Its owner releases it when the tree is stored. */
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
      before = (await this.#readOnce(before)).contents;
    } else {
      const began = freezer.changes();
      const journal = await mark();
      const taken = await this.#readConsistent(before, last.mapped);
      if (freezer.changes() === began && !(await freezer.isBusy()))
        return { ...taken, journal, mapped: new Set() };
      // A process has begun or ended meanwhile.
      before = taken.contents;
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

  /** Call it when only file methods change the tree. The journal has their changes. */
  async #readConsistent(
    known: ReadonlyMap<number, KnownContent>,
    suspects: ReadonlySet<number>,
  ): Promise<ReadTree> {
    let before = await distrusted(known, suspects);
    for (let attempt = 1; ; attempt++) {
      const taken = await this.#readOnce(before);
      if (taken.isWhole || attempt === MAX_ATTEMPTS) return taken;
      // The next attempt does not read unchanged files again.
      before = taken.contents;
    }
  }

  async #readOnce(before: ReadonlyMap<number, KnownContent>): Promise<ReadTree> {
    // The entries of an earlier attempt are free.
    this.#deps.account.release();
    const reader = this.#deps.tree.cursor();
    try {
      return await this.#readBy(reader, before);
    } finally {
      await reader.close();
    }
  }

  async #readBy(reader: TreeCursor, before: ReadonlyMap<number, KnownContent>): Promise<ReadTree> {
    const scan = await scanTree(reader, { isExcluded: this.#deps.isExcluded, account: this.#deps.account });
    const taken: ReadTree = {
      entries: [],
      before,
      contents: new Map(),
      attributes: new TreeAttributes(),
      skipped: scan.skipped,
      unreadable: scan.unreadable.slice(0, MAX_REPORTED_PATHS),
      isWhole: true,
      reader,
    };
    for (const node of scan.nodes) {
      const turn = pause();
      if (turn !== null) await turn;
      await this.#readNode(node, taken);
    }
    if (!(await taken.attributes.finish(this.#deps.tree))) taken.isWhole = false;
    for (const place of taken.attributes.unreadable) addUnreadable(place, taken);
    return taken;
  }

  async #readNode(node: ScannedNode, taken: ReadTree): Promise<void> {
    const { mode, type } = node;
    this.#deps.account.charge(ENTRY_BYTES);
    if (type === "directory") readDirectory(node, taken);
    if (type === "symlink") await this.#readLink(node, taken);
    if (type !== "file") return;
    const known = taken.contents.get(node.ino) ?? taken.before.get(node.ino);
    const usable = isUnchanged(known, node) && !this.#deps.isWasteful(known.chunks);
    if (!usable) this.#deps.account.charge(CONTENT_BYTES);
    const content = usable
      ? known
      : await storeContent(taken.reader, node, this.#deps.packs, this.#deps.account);
    if (content === "gone") taken.isWhole = false;
    else if (content === "unreadable") this.#addKnown(node, known, taken);
    else {
      taken.contents.set(node.ino, content);
      const links = node.nlink > 1 ? { links: node.ino } : {};
      const { size, chunks } = content;
      const entry: FileEntry = {
        type,
        place: node,
        mode,
        mtimeMs: content.mtimeMs,
        size,
        chunks,
        ...links,
      };
      taken.entries.push(entry);
      taken.attributes.add(node, content, entry, known?.attributes);
    }
  }

  async #readLink(node: ScannedNode, taken: ReadTree): Promise<void> {
    const { mode, mtimeMs } = node;
    let target: string;
    try {
      target = await taken.reader.readlink(node);
    } catch {
      // Something else has replaced the link.
      taken.isWhole = false;
      return;
    }
    this.#deps.account.charge(2 * target.length);
    taken.entries.push({ type: "symlink", place: node, mode, mtimeMs, target });
  }

  /** A file that cannot be read keeps its last stored content. */
  #addKnown(node: ScannedNode, known: KnownContent | undefined, taken: ReadTree): void {
    addUnreadable(node, taken);
    if (known === undefined) return;
    const { mode } = node;
    const { size, mtimeMs, chunks } = known;
    taken.contents.set(node.ino, known);
    const entry: FileEntry = { type: "file", place: node, mode, mtimeMs, size, chunks };
    taken.entries.push(entry);
    taken.attributes.add(node, known, entry);
  }
}

/** Marks the suspects as unsettled, so that they are read again even if their times are unchanged. */
async function distrusted(
  known: ReadonlyMap<number, KnownContent>,
  suspects: ReadonlySet<number>,
): Promise<ReadonlyMap<number, KnownContent>> {
  if (suspects.size === 0) return known;
  const contents = new Map<number, KnownContent>();
  await visitAll(known, ([ino, content]) => contents.set(ino, content));
  for (const ino of suspects) {
    const content = known.get(ino);
    if (content !== undefined) contents.set(ino, { ...content, settled: false });
  }
  return contents;
}

/** A directory has no content. Its inode is known for the sake of its attributes. */
function readDirectory(node: ScannedNode, taken: ReadTree): void {
  const { mode, mtimeMs, ctimeMs, size, ino } = node;
  const known = taken.before.get(ino);
  const content: KnownContent = isUnchanged(known, node)
    ? known
    : { size, mtimeMs, ctimeMs, chunks: [], settled: isSettled(ctimeMs, Date.now()) };
  taken.contents.set(ino, content);
  const entry: DirectoryEntry = { type: "directory", place: node, mode, mtimeMs };
  taken.entries.push(entry);
  taken.attributes.add(node, content, entry, known?.attributes);
}

function addUnreadable(place: TreePlace, taken: ReadTree): void {
  if (taken.unreadable.length >= MAX_REPORTED_PATHS) return;
  const path = pathOf(place);
  if (!taken.unreadable.includes(path)) taken.unreadable.push(path);
}
