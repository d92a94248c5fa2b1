import { pause, visitAll } from "../sandbox/pace.ts";
import type { PersistentTree } from "../sandbox/persistent-tree.ts";
import { TreeAttributes } from "./attributes.ts";
import { isSettled, isUnchanged, type KnownContent, storeContent } from "./contents.ts";
import type { DirectoryEntry, Entry, FileEntry } from "./entries.ts";
import type { PackWriter } from "./packs.ts";
import { type Excludes, type ScannedNode, scanTree } from "./scan.ts";

/** Files that moved away while they were being read make the whole checkpoint begin anew, so many times. */
const MAX_ATTEMPTS = 3;

const MAX_TOLD_PATHS = 100;

/** What makes a VM's processes stand still. */
export interface Freezer {
  /** Whether any process runs that could change files. */
  isBusy(): Promise<boolean>;
  /** Goes up when a process begins or ends that could change files. */
  readonly changes: number;
  /** Inodes of files that processes have mapped for writing: such writes leave no trace in a file's times. */
  mappedFiles(): Promise<ReadonlySet<number>>;
  /** Stops every process; the answer lets them go on. */
  freeze(): Promise<() => void>;
}

/** What a checkpoint has found, for the next one. */
export interface LastTaken {
  /** What the running VM's inodes were when they were stored. */
  contents: ReadonlyMap<number, KnownContent>;
  /** Inodes that processes had mapped for writing, and may have changed since without a trace. */
  mapped: ReadonlySet<number>;
}

/** A tree as of one moment. */
export interface Whole extends Taken {
  /** The first journal record that came after that moment. */
  journal: number;
  mapped: ReadonlySet<number>;
}

interface Taken {
  entries: Entry[];
  /** What was known before. */
  before: ReadonlyMap<number, KnownContent>;
  contents: Map<number, KnownContent>;
  attributes: TreeAttributes;
  skipped: number;
  unreadable: string[];
  /** Nothing had moved away between the scan and the reading. */
  isWhole: boolean;
}

export interface TakingParts {
  tree: PersistentTree;
  packs: PackWriter;
  isExcluded: Excludes;
  /** Whether a content is to be stored anew, though it has not changed. */
  isWasteful(content: KnownContent): boolean;
}

/** Takes a tree as of one moment, and stores the content of what has changed. */
export class Taking {
  readonly #tree: PersistentTree;
  readonly #packs: PackWriter;
  readonly #isExcluded: Excludes;
  readonly #isWasteful: (content: KnownContent) => boolean;

  constructor({ tree, packs, isExcluded, isWasteful }: TakingParts) {
    this.#tree = tree;
    this.#packs = packs;
    this.#isExcluded = isExcluded;
    this.#isWasteful = isWasteful;
  }

  /**
   * @param last what the last checkpoint had found
   * @param mark see Archive.checkpoint
   */
  async take(last: LastTaken, mark: () => Promise<number>, freezer: Freezer): Promise<Whole> {
    let before = last.contents;
    if (await freezer.isBusy()) {
      // Most is read while everything goes on, so that it need not stand still for long.
      before = (await this.#takeOnce(before)).contents;
    } else {
      const began = freezer.changes;
      const journal = await mark();
      const taken = await this.#takeWhole(before, last.mapped);
      if (freezer.changes === began && !(await freezer.isBusy()))
        return { ...taken, journal, mapped: new Set() };
      // Something has begun meanwhile.
      before = taken.contents;
    }
    const thaw = await freezer.freeze();
    try {
      const mapped = await freezer.mappedFiles();
      const journal = await mark();
      const suspects = new Set([...last.mapped, ...mapped]);
      return { ...(await this.#takeWhole(before, suspects)), journal, mapped };
    } finally {
      thaw();
    }
  }

  /** Nothing changes the tree meanwhile but file actions, which the journal has. */
  async #takeWhole(known: ReadonlyMap<number, KnownContent>, suspects: ReadonlySet<number>): Promise<Taken> {
    let before = await distrusted(known, suspects);
    for (let attempt = 1; ; attempt++) {
      const taken = await this.#takeOnce(before);
      if (taken.isWhole || attempt === MAX_ATTEMPTS) return taken;
      // What has been read is not read again.
      before = taken.contents;
    }
  }

  async #takeOnce(before: ReadonlyMap<number, KnownContent>): Promise<Taken> {
    const scan = await scanTree(this.#tree, this.#isExcluded);
    const taken: Taken = {
      entries: [],
      before,
      contents: new Map(),
      attributes: new TreeAttributes(),
      skipped: scan.skipped,
      unreadable: scan.unreadable.slice(0, MAX_TOLD_PATHS),
      isWhole: true,
    };
    for (const node of scan.nodes) {
      const turn = pause();
      if (turn !== null) await turn;
      await this.#takeNode(node, taken);
    }
    if (!(await taken.attributes.finish(this.#tree))) taken.isWhole = false;
    for (const path of taken.attributes.unreadable) tellUnreadable(path, taken);
    return taken;
  }

  async #takeNode(node: ScannedNode, taken: Taken): Promise<void> {
    const { path, mode, type } = node;
    if (type === "directory") takeDirectory(node, taken);
    if (type === "symlink") await this.#takeLink(node, taken);
    if (type !== "file") return;
    const known = taken.contents.get(node.ino) ?? taken.before.get(node.ino);
    const usable = isUnchanged(known, node) && !this.#isWasteful(known);
    const content = usable ? known : await storeContent(this.#tree, node, this.#packs);
    if (content === "gone") taken.isWhole = false;
    else if (content === "unreadable") this.#takeUnread(node, known, taken);
    else {
      taken.contents.set(node.ino, content);
      const links = node.nlink > 1 ? { links: node.ino } : {};
      const { size, chunks } = content;
      const entry: FileEntry = { type, path, mode, mtimeMs: content.mtimeMs, size, chunks, ...links };
      taken.entries.push(entry);
      taken.attributes.add(node, content, entry, known?.attributes);
    }
  }

  async #takeLink({ path, mode, mtimeMs }: ScannedNode, taken: Taken): Promise<void> {
    try {
      taken.entries.push({ type: "symlink", path, mode, mtimeMs, target: await this.#tree.readlink(path) });
    } catch {
      // Something else has come in its place.
      taken.isWhole = false;
    }
  }

  /** A file that cannot be read stays as it was kept before. */
  #takeUnread(node: ScannedNode, known: KnownContent | undefined, taken: Taken): void {
    tellUnreadable(node.path, taken);
    if (known === undefined) return;
    const { path, mode } = node;
    const { size, mtimeMs, chunks } = known;
    taken.contents.set(node.ino, known);
    const entry: FileEntry = { type: "file", path, mode, mtimeMs, size, chunks };
    taken.entries.push(entry);
    taken.attributes.add(node, known, entry);
  }
}

/** These are to be read again, whatever their times say. */
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

/** Of a directory's inode only its attributes need be known. */
function takeDirectory(node: ScannedNode, taken: Taken): void {
  const { path, mode, mtimeMs, ctimeMs, size, ino } = node;
  const known = taken.before.get(ino);
  const content: KnownContent = isUnchanged(known, node)
    ? known
    : { size, mtimeMs, ctimeMs, chunks: [], settled: isSettled(ctimeMs, Date.now()) };
  taken.contents.set(ino, content);
  const entry: DirectoryEntry = { type: "directory", path, mode, mtimeMs };
  taken.entries.push(entry);
  taken.attributes.add(node, content, entry, known?.attributes);
}

function tellUnreadable(path: string, taken: Taken): void {
  if (taken.unreadable.length < MAX_TOLD_PATHS && !taken.unreadable.includes(path))
    taken.unreadable.push(path);
}
