import { randomBytes } from "node:crypto";
import { type AgentVmError, limitExceeded } from "../../api/errors.ts";
import type { SnapshotInfo } from "../../api/methods/snapshot-types.ts";
import { isStorageFailed } from "../store/coded-store.ts";
import { FILES_FORMAT, keyOf, PREFIXES, prefixOf } from "../store/keys.ts";
import { LAZY, putAll, type Store } from "../store/store.ts";
import { ChunkIndex } from "./chunk-index.ts";
import { isStorageDamaged } from "./codec.ts";
import type { Chunk, TreeEntry } from "./entries.ts";
import { ForkSource } from "./fork.ts";
import {
  collectGarbage,
  deleteOrphans,
  deleteRecords,
  type Garbage,
  garbageOf,
  isEmpty,
  joinGarbage,
  NO_GARBAGE,
  numbers,
  recordsBetween,
} from "./garbage.ts";
import { Commits, FIRST_HEAD, findSnapshot, type Head, infoOf, loadHead, type Numbering } from "./head.ts";
import { MAX_SNAPSHOTS, RIVAL_NUMBERS } from "./limits.ts";
import { PackWriter } from "./packs.ts";
import { storePages } from "./pages.ts";
import { EMPTY_ROOT, encodeRoot, loadTree, type RootRecord, StoredTree, usageOf } from "./root.ts";

const SNAPSHOT_ID_BYTES = 8;

/** A tree to be stored. */
interface NewTree {
  /** The entries, which are iterated twice. */
  reading: Iterable<TreeEntry>;
  /** Number of the first journal record that a restart must repeat on top of the tree. */
  journal: number;
}

/**
 * The trees of one VM in its store: the newest checkpoint and the snapshots, which share equal content. A commit is one
 * put of the head record. Callers run one method at a time.
 */
export class Archive {
  readonly #store: Store;
  readonly #commits: Commits;
  readonly #chunks = new ChunkIndex();
  /** The newest tree. */
  #root: RootRecord;
  /** Root records by number, once they have been needed. */
  readonly #roots = new Map<number, RootRecord>();
  /** Numbers that failed or superseded checkpoints used. No tree refers to them. */
  #orphans: Garbage = NO_GARBAGE;
  readonly #next: Numbering;
  /** Records that no tree refers to stay until this is over. */
  #keepsGarbage = false;
  /** Numbers that are left to an earlier instance of the VM, which may still store something under them. */
  readonly #gap: number;

  /** Whether the store has no record of files. */
  readonly isNew: boolean;

  private constructor(
    store: Store,
    head: Head,
    root: RootRecord,
    { gap, isNew }: { gap: number; isNew: boolean },
    damage?: AgentVmError,
  ) {
    this.isNew = isNew;
    this.damage = damage;
    this.#store = store;
    this.#gap = gap;
    this.#commits = new Commits(store, head, gap);
    this.#root = root;
    if (head.root !== null && damage === undefined) this.#roots.set(head.root, root);
    const { nextPack, nextPage, nextRoot } = head;
    this.#next = { nextPack: nextPack + gap, nextPage: nextPage + gap, nextRoot: nextRoot + gap };
  }

  /** The error if the record of the newest tree is lost. */
  readonly damage: AgentVmError | undefined;

  /** @throws AgentVmError `storage_damaged`, `storage_too_new` */
  static async open(store: Store): Promise<Archive> {
    const head = await loadHead(store);
    const load = async () => (head.root === null ? EMPTY_ROOT : await loadTree(store, head.root));
    const isNew = head === FIRST_HEAD && (await store.list(PREFIXES.files, { limit: 1 })).length === 0;
    const clean = () => [
      deleteOrphans(store, head),
      collectGarbage(store, head.generation),
      store.deleteRange(prefixOf("journal"), keyOf("journal", head.journal), LAZY),
    ];
    const work = isNew ? [] : clean();
    const [root, ...deleted] = await Promise.allSettled([load(), ...work]);
    // A deletion that goes on could take what this instance stores from here on.
    for (const each of deleted) if (each.status === "rejected") throw each.reason;
    const opened = { gap: store.hasRival === true ? RIVAL_NUMBERS : 0, isNew };
    if (root.status === "fulfilled") return new Archive(store, head, root.value, opened);
    if (!isStorageDamaged(root.reason)) throw root.reason;
    return new Archive(store, head, EMPTY_ROOT, opened, root.reason);
  }

  get hasCheckpoint(): boolean {
    return this.#head.root !== null;
  }

  /** First number of a journal record of this boot, if the journal ends before a number. */
  journalAfter(end: number): number {
    return end + this.#gap;
  }

  /** Number of the first journal record after the newest checkpoint. */
  get journal(): number {
    return this.#head.journal;
  }

  /**
   * Opens a tree.
   *
   * @param snapshotId the snapshot that has it. @default the newest checkpoint
   * @throws AgentVmError `snapshot_not_found`, `storage_damaged`
   */
  async openTree(snapshotId?: string): Promise<StoredTree> {
    if (snapshotId === undefined) return new StoredTree(this.#store, this.#root);
    return new StoredTree(this.#store, await this.#load(findSnapshot(this.#head, snapshotId).root));
  }

  /**
   * Opens a tree for a copy of its records.
   *
   * @param snapshotId the snapshot that has it. @default the newest checkpoint
   * @throws AgentVmError `snapshot_not_found`, `storage_damaged`
   */
  async openFork(snapshotId?: string): Promise<ForkSource> {
    if (snapshotId === undefined) return new ForkSource(this.#store, this.#head, this.#root);
    const { root, createdAt: takenAt } = findSnapshot(this.#head, snapshotId);
    return new ForkSource(this.#store, { ...this.#head, root, takenAt }, await this.#load(root));
  }

  /** The chunks of a restored tree. */
  adoptChunks(chunks: Map<string, Chunk>): void {
    this.#chunks.reset(chunks);
  }

  /**
   * Stores a tree as the newest checkpoint.
   *
   * @param read reads the tree and puts its content into the packs, unless `chunks` has it
   */
  async save<Tree extends NewTree>(
    read: (packs: PackWriter, chunks: ChunkIndex) => Promise<Tree>,
  ): Promise<{ tree: Tree; files: number; bytes: number }> {
    await this.#deleteOrphans();
    this.#chunks.begin(this.#root);
    const packs = new PackWriter(this.#store, this.#next.nextPack, this.#chunks);
    const first = { ...this.#next };
    try {
      const tree = await read(packs, this.#chunks);
      await packs.finish();
      await this.#commit(tree, packs);
      const { files, bytes } = this.#root;
      await this.#chunks.add(packs.added, new Set(this.#root.packs.map(([pack]) => pack)));
      return { tree, files, bytes };
    } catch (error) {
      await packs.settled();
      this.#next.nextPack = Math.max(this.#next.nextPack, packs.next);
      const stored = recordsBetween(first, this.#next);
      for (const root of stored.roots) this.#roots.delete(root);
      this.#orphans = joinGarbage(this.#orphans, stored);
      // The disk may be full of them.
      if (isStorageFailed(error)) await this.#deleteOrphans();
      throw error;
    }
  }

  /** Deletes what failed checkpoints have stored, unless the head of one of them may count. Never rejects: the next checkpoint tries again. */
  async #deleteOrphans(): Promise<void> {
    if (this.#commits.isUnsure || isEmpty(this.#orphans)) return;
    try {
      await deleteRecords(this.#store, this.#orphans);
      // A put that has failed may still arrive. The next commit notes its records.
      if (this.#store.isRemote !== true) this.#orphans = NO_GARBAGE;
    } catch {
      // For example a full disk.
    }
  }

  /** Names the newest tree. @throws AgentVmError `limit_exceeded` */
  async addSnapshot(name?: string): Promise<SnapshotInfo> {
    const { root, snapshots } = this.#head;
    if (root === null) throw new Error("There is no checkpoint to name");
    if (snapshots.length >= MAX_SNAPSHOTS) {
      throw limitExceeded({ MAX_SNAPSHOTS }, "Snapshot limit reached", "Delete a snapshot first.");
    }
    const { files, bytes } = this.#root;
    const id = `snap-${randomBytes(SNAPSHOT_ID_BYTES).toString("hex")}`;
    const snapshot = { id, name: name ?? null, createdAt: Date.now(), files, bytes, root };
    await this.#replaceTrees({ snapshots: [...snapshots, snapshot] }, []);
    return infoOf(snapshot);
  }

  /** @throws AgentVmError `snapshot_not_found` */
  async deleteSnapshot(id: string): Promise<void> {
    const deleted = findSnapshot(this.#head, id);
    const snapshots = this.#head.snapshots.filter((snapshot) => snapshot !== deleted);
    await this.#replaceTrees({ snapshots }, [deleted.root]);
  }

  /**
   * Makes a snapshot's tree the newest one. The VM must boot again with it.
   *
   * @param journal number of the first journal record after it
   * @throws AgentVmError `snapshot_not_found`, `storage_damaged`
   */
  async adoptSnapshot(id: string, journal: number): Promise<void> {
    const { root } = findSnapshot(this.#head, id);
    const tree = await this.#load(root);
    await this.#replaceTrees({ root, journal }, [this.#head.root]);
    this.#root = tree;
  }

  get #head(): Head {
    return this.#commits.head;
  }

  async #load(number: number): Promise<RootRecord> {
    const root = this.#roots.get(number) ?? (await loadTree(this.#store, number));
    this.#roots.set(number, root);
    return root;
  }

  async #commit({ reading: entries, journal }: NewTree, packs: PackWriter): Promise<void> {
    const last = this.#root;
    const known = new Map(last.pages.map(([number, sum]) => [sum, number]));
    const firstPack = this.#next.nextPack;
    this.#next.nextPack = packs.next;
    const firstPage = this.#next.nextPage;
    const { pages, waiting } = await storePages(this.#store, entries, known, () => this.#next.nextPage++);
    const isSame =
      this.hasCheckpoint &&
      this.#next.nextPage === firstPage &&
      pages.length === last.pages.length &&
      pages.every(([number], index) => number === last.pages[index]?.[0]);
    const sizes = new Map([...last.packs.map(([pack, size]) => [pack, size] as const), ...packs.sizes]);
    const root = isSame ? last : { ...(await usageOf(entries, sizes)), pages };
    const used = new Set(root.packs.map(([pack]) => pack));
    // A file that changes while it is read is read again: nothing refers to packs of the first reading.
    const unused = numbers(firstPack, packs.next).filter((pack) => !used.has(pack));
    this.#orphans = joinGarbage(this.#orphans, { ...NO_GARBAGE, packs: unused });
    if (isSame) {
      if (journal === this.journal && isEmpty(this.#orphans)) return;
      await this.#replaceTrees({ journal, takenAt: Date.now() }, []);
      return;
    }
    const number = this.#next.nextRoot++;
    await putAll(this.#store, [...waiting, ...(await encodeRoot(number, root))], LAZY);
    this.#roots.set(number, root);
    await this.#replaceTrees({ version: FILES_FORMAT, root: number, journal, takenAt: Date.now() }, [
      this.#head.root,
    ]);
    this.#root = root;
  }

  /**
   * Commits a head and deletes everything that only leaving trees refer to.
   *
   * @param leaving numbers of trees that the old head refers to. A tree that the new head refers to as well stays.
   */
  async #replaceTrees(change: Partial<Head>, leaving: (number | null)[]): Promise<void> {
    const next = { ...this.#head, ...change };
    const living = new Map<number, RootRecord>();
    for (const number of [next.root, ...next.snapshots.map(({ root }) => root)]) {
      if (number !== null) living.set(number, await this.#loadReadable(number));
    }
    const dying = new Map<number, RootRecord>();
    for (const number of leaving) {
      if (number !== null && !living.has(number)) dying.set(number, await this.#loadReadable(number));
    }
    const garbage = garbageOf(dying, living, this.#orphans);
    await this.#commits.commit({ ...change, ...this.#next }, garbage);
    this.#orphans = NO_GARBAGE;
    for (const number of dying.keys()) this.#roots.delete(number);
    await this.#chunks.forget(garbage.packs);
    await this.#clean();
  }

  /** Keeps the records of all trees while work reads an earlier one. */
  async keeping<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#keepsGarbage = true;
    try {
      return await work();
    } finally {
      this.#keepsGarbage = false;
      await this.#clean();
    }
  }

  /** Deletes the records that no tree refers to. */
  async #clean(): Promise<void> {
    // If this fails, the commit counts all the same. The next commit or the next boot deletes the noted garbage.
    await Promise.allSettled([
      this.#keepsGarbage ? undefined : collectGarbage(this.#store, this.#head.generation),
      this.#store.deleteRange(prefixOf("journal"), keyOf("journal", this.journal), LAZY),
    ]);
  }

  /** Loads a tree to keep its records. A damaged tree is lost already and keeps nothing. */
  async #loadReadable(number: number): Promise<RootRecord> {
    try {
      return await this.#load(number);
    } catch (error) {
      if (!isStorageDamaged(error)) throw error;
      return EMPTY_ROOT;
    }
  }
}
