import type { CheckpointResult } from "../../api/types.ts";
import type { PersistentTree } from "../sandbox/persistent-tree.ts";
import type { Store } from "../store.ts";
import { TreeAttributes } from "./attributes.ts";
import { Damage, putAll, storageDamaged } from "./codec.ts";
import { Commits } from "./commits.ts";
import { isSettled, isUnchanged, type KnownContent, storeContent } from "./contents.ts";
import type { Chunk, DirectoryEntry, Entry, FileEntry } from "./entries.ts";
import { collectGarbage, deleteOrphans, type Garbage, garbageOf, isEmpty, NO_GARBAGE } from "./garbage.ts";
import { type Head, loadHead, type SnapshotRecord } from "./head.ts";
import { keyOf, prefixOf } from "./keys.ts";
import { PackWriter } from "./packs.ts";
import { makePages } from "./pages.ts";
import { EMPTY_ROOT, encodeRoot, loadPage, loadRoot, type RootRecord } from "./root.ts";
import { type Excludes, type ScannedNode, scanTree } from "./scan.ts";

/** Packs of which less than this part is used are written anew, so that waste has a bound. */
const MIN_USED_PART = 0.5;

/** Bytes that one checkpoint writes anew for that. */
const MAX_REPACKED_BYTES = 32 * 1024 * 1024;

/** Files that moved away while they were being read make the whole checkpoint begin anew, so many times. */
const MAX_ATTEMPTS = 3;

const MAX_TOLD_PATHS = 100;

const NONE: ReadonlySet<number> = new Set();

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

/** A VM's trees in its store: the newest checkpoint, and snapshots. Commits are one put of the head record. */
export class Archive {
  readonly #store: Store;
  readonly #isExcluded: Excludes;
  readonly #commits: Commits;
  #root: RootRecord;
  /** The newest tree's and those of snapshots, as far as they have been needed. */
  readonly #roots = new Map<number, RootRecord>();
  /** Content that the newest tree has, by its hash. */
  #chunks = new Map<string, Chunk>();
  /** What the running VM's inodes were when they were stored. */
  #contents = new Map<number, KnownContent>();
  /** Inodes that processes had mapped for writing at the last checkpoint, and may have changed since without a trace. */
  #mapped: ReadonlySet<number> = NONE;
  /** What checkpoints have written and no tree has come to refer to. */
  #orphans: Garbage = NO_GARBAGE;
  /** Packs that the checkpoint under way writes anew. */
  #wasteful: ReadonlySet<number> = new Set();
  #nextPack: number;
  #nextPage: number;
  #nextRoot: number;

  private constructor(store: Store, isExcluded: Excludes, head: Head, root: RootRecord) {
    this.#store = store;
    this.#isExcluded = isExcluded;
    this.#commits = new Commits(store, head);
    this.#root = root;
    if (head.root !== null) this.#roots.set(head.root, root);
    this.#nextPack = head.nextPack;
    this.#nextPage = head.nextPage;
    this.#nextRoot = head.nextRoot;
  }

  /** @throws AgentVmError `storage_damaged` where the store cannot be read. */
  static async open(store: Store, isExcluded: Excludes): Promise<Archive> {
    const head = await loadHead(store);
    await deleteOrphans(store, head);
    await collectGarbage(store, head.generation);
    await store.deleteRange(prefixOf("journal"), keyOf("journal", head.journal));
    return new Archive(store, isExcluded, head, await rootOf(store, head.root));
  }

  get head(): Head {
    return this.#commits.head;
  }

  get root(): RootRecord {
    return this.#root;
  }

  /** Whether the newest tree has a file of the running VM. */
  knows(ino: number): boolean {
    return this.#contents.has(ino);
  }

  /** Takes up what a restored VM's files are, so that the next checkpoint need not read them. */
  adopt(contents: Map<number, KnownContent>, chunks: Map<string, Chunk>): void {
    this.#contents = contents;
    this.#chunks = chunks;
  }

  /**
   * Keeps the tree as it is.
   *
   * @param mark asked as soon as nothing but file actions changes the tree: the first journal record that comes after it
   * @param freezer stops what changes the tree, for as long as the tree is looked at
   */
  async checkpoint(
    tree: PersistentTree,
    mark: () => Promise<number>,
    freezer: Freezer,
  ): Promise<CheckpointResult> {
    const packs = new PackWriter(this.#store, this.#nextPack, this.#usableChunks());
    const first = { pack: this.#nextPack, page: this.#nextPage, root: this.#nextRoot };
    try {
      const taken = await this.#take(tree, packs, mark, freezer);
      await packs.finish();
      await this.#commit(taken.entries, packs, taken.journal);
      const kept = new Set(this.#root.packs.map(([pack]) => pack));
      for (const [hash, chunk] of packs.added) if (kept.has(chunk.pack)) this.#chunks.set(hash, chunk);
      this.#contents = taken.contents;
      this.#mapped = taken.mapped;
      const { files, bytes } = this.#root;
      return { files, bytes, skipped: taken.skipped, unreadable: taken.unreadable };
    } catch (error) {
      await packs.settled();
      this.#nextPack = Math.max(this.#nextPack, packs.next);
      this.#abandon({
        packs: numbers(first.pack, this.#nextPack),
        pages: numbers(first.page, this.#nextPage),
        roots: numbers(first.root, this.#nextRoot),
      });
      throw error;
    }
  }

  /** Gives the newest tree a name of its own. */
  async addSnapshot(snapshot: Omit<SnapshotRecord, "root">): Promise<void> {
    const { root } = this.head;
    if (root === null) throw new Error("There is no checkpoint to name");
    await this.#replaceTrees({ snapshots: [...this.head.snapshots, { ...snapshot, root }] }, []);
  }

  async deleteSnapshot(id: string): Promise<void> {
    const gone = this.head.snapshots.find((snapshot) => snapshot.id === id);
    const snapshots = this.head.snapshots.filter((snapshot) => snapshot.id !== id);
    if (gone === undefined) return;
    await this.#replaceTrees({ snapshots }, [gone.root]);
  }

  /** Makes a snapshot's tree the newest one. The running VM's files are another thing from then on. */
  async adoptSnapshot(id: string, journal: number): Promise<void> {
    const snapshot = this.head.snapshots.find((known) => known.id === id);
    if (snapshot === undefined) throw new Error(`No snapshot ${id}`);
    const root = await this.rootOfSnapshot(snapshot);
    await this.#replaceTrees({ root: snapshot.root, journal }, [this.head.root]);
    this.#root = root;
    this.#contents = new Map();
    this.#chunks = new Map();
  }

  /** All entries of the newest tree, or of a snapshot's. */
  async *entries(root: RootRecord): AsyncGenerator<Entry[]> {
    for (const [number, , firstPath] of root.pages) {
      try {
        yield await loadPage(this.#store, number);
      } catch (error) {
        if (!(error instanceof Damage)) throw error;
        throw storageDamaged(`${error.message}: it held ${firstPath} and what follows`, { from: firstPath });
      }
    }
  }

  async rootOfSnapshot({ root }: SnapshotRecord): Promise<RootRecord> {
    const record = this.#roots.get(root) ?? (await rootOf(this.#store, root));
    this.#roots.set(root, record);
    return record;
  }

  async #take(
    tree: PersistentTree,
    packs: PackWriter,
    mark: () => Promise<number>,
    freezer: Freezer,
  ): Promise<Whole> {
    let before: ReadonlyMap<number, KnownContent> = this.#contents;
    if (await freezer.isBusy()) {
      // Most is read while everything goes on, so that it need not stand still for long.
      before = (await this.#takeOnce(tree, packs, before)).contents;
    } else {
      const began = freezer.changes;
      const journal = await mark();
      const taken = await this.#takeWhole(tree, packs, before, this.#mapped);
      if (freezer.changes === began && !(await freezer.isBusy())) return { ...taken, journal, mapped: NONE };
      // Something has begun meanwhile.
      before = taken.contents;
    }
    const thaw = await freezer.freeze();
    try {
      const mapped = await freezer.mappedFiles();
      const journal = await mark();
      const suspects = new Set([...this.#mapped, ...mapped]);
      return { ...(await this.#takeWhole(tree, packs, before, suspects)), journal, mapped };
    } finally {
      thaw();
    }
  }

  /** Nothing changes the tree meanwhile but file actions, which the journal has. */
  async #takeWhole(
    tree: PersistentTree,
    packs: PackWriter,
    known: ReadonlyMap<number, KnownContent>,
    suspects: ReadonlySet<number>,
  ): Promise<Taken> {
    let before = distrusted(known, suspects);
    for (let attempt = 1; ; attempt++) {
      const taken = await this.#takeOnce(tree, packs, before);
      if (taken.isWhole || attempt === MAX_ATTEMPTS) return taken;
      // What has been read is not read again.
      before = taken.contents;
    }
  }

  async #takeOnce(
    tree: PersistentTree,
    packs: PackWriter,
    before: ReadonlyMap<number, KnownContent>,
  ): Promise<Taken> {
    const scan = await scanTree(tree, this.#isExcluded);
    const taken: Taken = {
      entries: [],
      before,
      contents: new Map(),
      attributes: new TreeAttributes(),
      skipped: scan.skipped,
      unreadable: scan.unreadable.slice(0, MAX_TOLD_PATHS),
      isWhole: true,
    };
    for (const node of scan.nodes) await this.#takeNode(tree, node, packs, taken);
    if (!(await taken.attributes.finish(tree))) taken.isWhole = false;
    for (const path of taken.attributes.unreadable) tellUnreadable(path, taken);
    return taken;
  }

  async #takeNode(tree: PersistentTree, node: ScannedNode, packs: PackWriter, taken: Taken): Promise<void> {
    const { path, mode, type } = node;
    if (type === "directory") takeDirectory(node, taken);
    if (type === "symlink") await this.#takeLink(tree, node, taken);
    if (type !== "file") return;
    const known = taken.contents.get(node.ino) ?? taken.before.get(node.ino);
    const usable = isUnchanged(known, node) && !this.#isWasteful(known);
    const content = usable ? known : await storeContent(tree, node, packs);
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

  async #takeLink(tree: PersistentTree, { path, mode, mtimeMs }: ScannedNode, taken: Taken): Promise<void> {
    try {
      taken.entries.push({ type: "symlink", path, mode, mtimeMs, target: await tree.readlink(path) });
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

  async #commit(entries: readonly Entry[], packs: PackWriter, journal: number): Promise<void> {
    const known = new Map(this.#root.pages.map(([number, sum]) => [sum, number]));
    const pages = await makePages(entries, known, this.#nextPage);
    const firstPack = this.#nextPack;
    this.#nextPack = packs.next;
    this.#nextPage = pages.next;
    const isSame =
      this.head.root !== null &&
      pages.entries.length === 0 &&
      pages.list.length === this.#root.pages.length &&
      pages.list.every(([number], index) => number === this.#root.pages[index]?.[0]);
    const root = isSame ? this.#root : { ...this.#totals(entries, packs), pages: pages.list };
    const used = new Set(root.packs.map(([pack]) => pack));
    // What a file was before it was read again.
    const unused = numbers(firstPack, packs.next).filter((pack) => !used.has(pack));
    this.#abandon({ ...NO_GARBAGE, packs: unused });
    if (isSame) {
      if (journal === this.head.journal && isEmpty(this.#orphans)) return;
      await this.#replaceTrees({ journal, takenAt: Date.now() }, []);
      return;
    }
    const number = this.#nextRoot++;
    await putAll(this.#store, [...pages.entries, ...(await encodeRoot(number, root))]);
    this.#roots.set(number, root);
    await this.#replaceTrees({ root: number, journal, takenAt: Date.now() }, [this.head.root]);
    this.#root = root;
  }

  /** How much of each pack a tree uses. */
  #totals(entries: readonly Entry[], packs: PackWriter): Omit<RootRecord, "pages"> {
    const sizes = new Map(this.#root.packs.map(([pack, size]) => [pack, size]));
    for (const [pack, size] of packs.sizes) sizes.set(pack, size);
    const used = new Map<number, number>();
    const counted = new Set<string>();
    let bytes = 0;
    for (const entry of entries) {
      if (entry.type !== "file") continue;
      bytes += entry.size;
      for (const { pack, length, hash } of entry.chunks) {
        if (counted.has(hash)) continue;
        counted.add(hash);
        used.set(pack, (used.get(pack) ?? 0) + length);
      }
    }
    const list = [...used].map(([pack, live]): [number, number, number] => [
      pack,
      sizes.get(pack) ?? live,
      live,
    ]);
    return { packs: list.sort(([a], [b]) => a - b), files: entries.length, bytes };
  }

  /** Commits a head under which some trees are not referred to any more, and collects these. */
  async #replaceTrees(change: Partial<Head>, leaving: (number | null)[]): Promise<void> {
    const next = { ...this.head, ...change };
    const living = new Map<number, RootRecord>();
    for (const number of [next.root, ...next.snapshots.map(({ root }) => root)]) {
      if (number !== null) living.set(number, await this.#recordOf(number));
    }
    const dying = new Map<number, RootRecord>();
    for (const number of leaving) {
      if (number !== null && !living.has(number)) dying.set(number, await this.#recordOf(number));
    }
    const garbage = garbageOf(dying, living, this.#orphans);
    const numbering = { nextPack: this.#nextPack, nextPage: this.#nextPage, nextRoot: this.#nextRoot };
    await this.#commits.commit({ ...change, ...numbering }, garbage);
    this.#orphans = NO_GARBAGE;
    for (const number of dying.keys()) this.#roots.delete(number);
    this.#forgetChunks(new Set(garbage.packs));
    try {
      await collectGarbage(this.#store, this.head.generation);
      await this.#store.deleteRange(prefixOf("journal"), keyOf("journal", this.head.journal));
    } catch {
      // The commit stands. What is noted is collected by the next one, or by the next boot.
    }
  }

  /** A tree that cannot be read keeps nothing from being collected: it is lost already. */
  async #recordOf(number: number): Promise<RootRecord> {
    const known = this.#roots.get(number);
    if (known !== undefined) return known;
    const record = await loadRoot(this.#store, number).catch((error: unknown) => {
      if (error instanceof Damage) return EMPTY_ROOT;
      throw error;
    });
    this.#roots.set(number, record);
    return record;
  }

  /** No tree refers to these numbers, and none will. */
  #abandon({ packs, pages, roots }: Garbage): void {
    this.#orphans = {
      packs: [...this.#orphans.packs, ...packs],
      pages: [...this.#orphans.pages, ...pages],
      roots: [...this.#orphans.roots, ...roots],
    };
  }

  /** What lay in these packs cannot be referred to any more. */
  #forgetChunks(packs: ReadonlySet<number>): void {
    if (packs.size === 0) return;
    for (const [hash, { pack }] of this.#chunks) if (packs.has(pack)) this.#chunks.delete(hash);
  }

  /** Chunks to be referred to, without those of packs that are to go. */
  #usableChunks(): ReadonlyMap<string, Chunk> {
    this.#wasteful = wastefulPacks(this.#root);
    if (this.#wasteful.size === 0) return this.#chunks;
    return new Map([...this.#chunks].filter(([, { pack }]) => !this.#wasteful.has(pack)));
  }

  #isWasteful({ chunks }: KnownContent): boolean {
    return this.#wasteful.size > 0 && chunks.some(({ pack }) => this.#wasteful.has(pack));
  }
}

/** A tree as of one moment. */
interface Whole extends Taken {
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

/** These are to be read again, whatever their times say. */
function distrusted(
  known: ReadonlyMap<number, KnownContent>,
  suspects: ReadonlySet<number>,
): ReadonlyMap<number, KnownContent> {
  if (suspects.size === 0) return known;
  const contents = new Map(known);
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

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

/** Packs of which so little is used that it is worth writing that anew. */
function wastefulPacks({ packs }: RootRecord): ReadonlySet<number> {
  const found = new Set<number>();
  let bytes = 0;
  for (const [pack, size, used] of packs) {
    if (used >= size * MIN_USED_PART || bytes + used > MAX_REPACKED_BYTES) continue;
    found.add(pack);
    bytes += used;
  }
  return found;
}

async function rootOf(store: Store, number: number | null): Promise<RootRecord> {
  if (number === null) return EMPTY_ROOT;
  try {
    return await loadRoot(store, number);
  } catch (error) {
    if (error instanceof Damage) throw storageDamaged(error.message);
    throw error;
  }
}
