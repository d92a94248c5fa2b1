import type { CheckpointResult } from "../../api/types.ts";
import { visitAll } from "../sandbox/pace.ts";
import type { PersistentTree } from "../sandbox/persistent-tree.ts";
import type { Store } from "../store.ts";
import { Damage, putAll, storageDamaged } from "./codec.ts";
import { Commits } from "./commits.ts";
import type { KnownContent } from "./contents.ts";
import type { Chunk, Entry } from "./entries.ts";
import { collectGarbage, deleteOrphans, type Garbage, garbageOf, isEmpty, NO_GARBAGE } from "./garbage.ts";
import { type Head, loadHead, type SnapshotRecord } from "./head.ts";
import { keyOf, prefixOf } from "./keys.ts";
import { PackWriter } from "./packs.ts";
import { makePages } from "./pages.ts";
import { EMPTY_ROOT, encodeRoot, loadPage, loadRoot, type RootRecord } from "./root.ts";
import type { Excludes } from "./scan.ts";
import { type Freezer, Taking } from "./taking.ts";

/** Packs of which less than this part is used are written anew, so that waste has a bound. */
const MIN_USED_PART = 0.5;

/** Bytes that one checkpoint writes anew for that. */
const MAX_REPACKED_BYTES = 32 * 1024 * 1024;

const NONE: ReadonlySet<number> = new Set();

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
    const packs = new PackWriter(this.#store, this.#nextPack, await this.#usableChunks());
    const first = { pack: this.#nextPack, page: this.#nextPage, root: this.#nextRoot };
    try {
      const taking = new Taking({
        tree,
        packs,
        isExcluded: this.#isExcluded,
        isWasteful: (content) => this.#isWasteful(content),
      });
      const last = { contents: this.#contents, mapped: this.#mapped };
      const taken = await taking.take(last, mark, freezer);
      await packs.finish();
      await this.#commit(taken.entries, packs, taken.journal);
      const kept = new Set(this.#root.packs.map(([pack]) => pack));
      await visitAll(packs.added, ([hash, chunk]) => {
        if (kept.has(chunk.pack)) this.#chunks.set(hash, chunk);
      });
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
    const root = isSame ? this.#root : { ...(await this.#totals(entries, packs)), pages: pages.list };
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
  async #totals(entries: readonly Entry[], packs: PackWriter): Promise<Omit<RootRecord, "pages">> {
    const sizes = new Map(this.#root.packs.map(([pack, size]) => [pack, size]));
    for (const [pack, size] of packs.sizes) sizes.set(pack, size);
    const used = new Map<number, number>();
    const counted = new Set<string>();
    let bytes = 0;
    await visitAll(entries, (entry) => {
      if (entry.type !== "file") return;
      bytes += entry.size;
      for (const { pack, length, hash } of entry.chunks) {
        if (counted.has(hash)) continue;
        counted.add(hash);
        used.set(pack, (used.get(pack) ?? 0) + length);
      }
    });
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
    await this.#forgetChunks(new Set(garbage.packs));
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
  async #forgetChunks(packs: ReadonlySet<number>): Promise<void> {
    if (packs.size === 0) return;
    await visitAll(this.#chunks, ([hash, { pack }]) => {
      if (packs.has(pack)) this.#chunks.delete(hash);
    });
  }

  /** Chunks to be referred to, without those of packs that are to go. */
  async #usableChunks(): Promise<ReadonlyMap<string, Chunk>> {
    this.#wasteful = wastefulPacks(this.#root);
    if (this.#wasteful.size === 0) return this.#chunks;
    const usable = new Map<string, Chunk>();
    await visitAll(this.#chunks, ([hash, chunk]) => {
      if (!this.#wasteful.has(chunk.pack)) usable.set(hash, chunk);
    });
    return usable;
  }

  #isWasteful({ chunks }: KnownContent): boolean {
    return this.#wasteful.size > 0 && chunks.some(({ pack }) => this.#wasteful.has(pack));
  }
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
