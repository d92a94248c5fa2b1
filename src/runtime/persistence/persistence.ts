import { type AgentVmError, vmStopped } from "../../api/errors.ts";
import type { CheckpointResult } from "../../api/methods/snapshot-types.ts";
import { Mutex } from "../../base/mutex.ts";
import type { TreeChange } from "../filesystem/file-changes.ts";
import { Files } from "../filesystem/files.ts";
import { excludes } from "../filesystem/scan.ts";
import type { Report } from "../reports.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { isStorageFailed, storageFailed } from "../store/coded-store.ts";
import type { Store } from "../store/store.ts";
import { Archive } from "./archive.ts";
import { repairPlaces } from "./base-tree.ts";
import { ChangeJournal, isJournalEmpty, readJournal, replay } from "./change-journal.ts";
import { ChangeRecorder } from "./change-recorder.ts";
import type { Freezer } from "./checkpoint-reader.ts";
import { CheckpointSchedule, type ScheduleDeps } from "./checkpoint-schedule.ts";
import { Checkpoints } from "./checkpoints.ts";
import { filesReadOnly, storageDamaged } from "./codec.ts";
import { KnownContents } from "./known-contents.ts";
import { type Restored, restoreTree } from "./restore.ts";

interface PersistenceOptions {
  /** Milliseconds between checkpoints while something runs. */
  intervalMs: number;
  /** Globs of absolute paths that are not stored. */
  exclude: readonly string[];
  /** Leaves out what cannot be restored, instead of making the files read-only. */
  allowMissing: boolean;
}

interface PersistenceDeps extends Omit<Freezer, "changes">, Pick<ScheduleDeps, "keepAwake" | "onFailure"> {
  /** Makes room for stored files of so many bytes. @default nothing */
  makeRoom?(bytes: number): Promise<unknown>;
  /** Makes the first files of a new VM. @default nothing */
  initialize?(): Promise<void>;
  readonly report: Report;
}

/** The stored and restored files that a boot begins with. */
interface OpenedFiles extends Pick<Persistence, "damage" | "putBack"> {
  archive: Archive;
  checkpoints: Checkpoints;
  journal: ChangeJournal;
}

/** Result of a checkpoint that has nothing to store. */
const UNCHANGED: CheckpointResult = { files: 0, bytes: 0, skipped: 0, unreadable: [] };

/** Keeps one booted VM's files in its store. */
export class Persistence {
  /** Why the files could not be restored whole. If set, nothing changes them, and no checkpoint is taken. */
  readonly damage: AgentVmError | undefined;
  readonly #archive: Archive;
  readonly #checkpoints: Checkpoints;
  readonly #recorder: ChangeRecorder;
  readonly #schedule: CheckpointSchedule;
  readonly #deps: PersistenceDeps;
  /** Paths of the base tree that the stored files lacked. */
  readonly putBack: readonly string[];
  /** Serializes changes by file methods, in the order of the journal. */
  readonly #changes = new Mutex();
  /** Keeps moves and checkpoints apart: a move during a checkpoint could hide a file from it. */
  readonly #moves = new Mutex();
  /** Refuses changes. */
  #isClosed = false;
  /** A snapshot has replaced the files: the tree of this boot must not be stored any more. */
  #isReplaced = false;

  private constructor(
    { archive, checkpoints, journal, damage, putBack }: OpenedFiles,
    { intervalMs }: PersistenceOptions,
    deps: PersistenceDeps,
  ) {
    this.putBack = putBack;
    this.damage = damage;
    this.#archive = archive;
    this.#checkpoints = checkpoints;
    this.#deps = deps;
    const isBusy = () => deps.isBusy();
    const recorder = new ChangeRecorder({
      journal,
      isBusy,
      isStored: (path) => checkpoints.has(path),
      checkpoint: () => this.keepNow(),
    });
    this.#recorder = recorder;
    this.#schedule = new CheckpointSchedule({
      intervalMs,
      take: () => this.#moves.run(() => this.#take()),
      isDirty: () => damage === undefined && recorder.isDirty,
      isBusy: async () => damage === undefined && (await isBusy()),
      keepAwake: (work) => deps.keepAwake(work),
      onFailure: (error) => deps.onFailure(error),
    });
  }

  /**
   * Restores the stored files into a VM that has just booted. If a part of them cannot be restored, `damage` is set.
   *
   * @throws AgentVmError `storage_damaged` if the stored files cannot be read at all
   */
  static async open(
    store: Store,
    files: FileSystem,
    options: PersistenceOptions,
    deps: PersistenceDeps,
  ): Promise<Persistence> {
    const isExcluded = excludes(options.exclude);
    const archive = await Archive.open(store);
    const isNew = archive.isNew || (!archive.hasCheckpoint && (await isJournalEmpty(store)));
    if (archive.damage !== undefined && options.allowMissing) throw archive.damage;
    const stored =
      archive.hasCheckpoint && archive.damage === undefined ? await archive.openTree() : undefined;
    if (stored !== undefined) await deps.makeRoom?.(stored.room);
    const restored: Restored =
      stored !== undefined
        ? await restoreTree(stored, files, isExcluded)
        : { contents: new KnownContents(), chunks: new Map(), putBack: [], damage: archive.damage };
    archive.adoptChunks(restored.chunks);
    if (isNew) await deps.initialize?.();
    const target = new Files(files);
    let next = archive.journal;
    let { damage } = restored;
    let isChanged = damage !== undefined;
    for await (const [number, change] of archive.isNew ? [] : readJournal(store)) {
      if (change !== undefined) await replay(change, target);
      else damage ??= storageDamaged("a record of its journal is corrupt");
      next = Math.max(next, number + 1);
      isChanged = true;
    }
    const putBack = isNew ? [] : [...restored.putBack, ...(await repairPlaces(files))];
    const checkpoints = new Checkpoints(archive, files.tree, isExcluded, restored.contents);
    const journal = new ChangeJournal(store, archive.journalAfter(next));
    if (options.allowMissing) damage = undefined;
    const persistence = new Persistence({ archive, checkpoints, journal, damage, putBack }, options, deps);
    // The next checkpoint stores the tree without the lost files.
    if (isChanged || putBack.length > 0) persistence.touch();
    try {
      // From now on the VM keeps its own files, even if the files of new VMs change.
      if (isNew && deps.initialize !== undefined) await persistence.keepNow();
    } catch (error) {
      await persistence.close();
      throw error;
    }
    return persistence;
  }

  /**
   * Makes a change of the tree durable.
   *
   * @param work makes the change
   * @param options `isReplayable: false`: only a checkpoint can keep the change. @default true
   * @returns when the change is made; `durable` resolves when it survives the server's death
   */
  async change(
    change: TreeChange,
    work: () => Promise<void>,
    options: { isReplayable?: boolean } = {},
  ): Promise<{ durable: Promise<void> }> {
    const make = () =>
      this.#changes.run(async () => {
        this.#assertOpen();
        const isReplayable = (options.isReplayable ?? true) && (await this.#recorder.isReplayable(change));
        await work();
        return this.#recorder.record(change, isReplayable);
      });
    const recorded = await (change.action === "move" ? this.#moves.run(make) : make());
    if (this.#recorder.isLong) this.#schedule.background();
    return recorded;
  }

  /** Makes a change of the tree that is not a file method, and stores it with a checkpoint. */
  async changeTree<Result>(work: (archive: Archive) => Promise<Result>): Promise<Result> {
    return await this.#moves.run(async () => {
      const result = await this.#changes.run(() => {
        this.#assertOpen();
        this.#recorder.skip();
        return work(this.#archive);
      });
      await this.#take().catch(notStored);
      return result;
    });
  }

  /** Stores a change that the journal cannot take, with a checkpoint. */
  async keepNow(): Promise<void> {
    await this.checkpoint().catch(notStored);
  }

  /** Takes a checkpoint of everything that happened before the call. */
  checkpoint(): Promise<CheckpointResult> {
    return this.#schedule.checkpoint();
  }

  /** Notes that something has begun that may change files. */
  begin(): void {
    this.#recorder.noteEvent();
  }

  /** Notes that something has ended or paused that may have changed files. */
  touch(): void {
    this.#recorder.noteEvent();
    this.#schedule.soon();
  }

  /** Runs work on the stored trees while no other checkpoint is taken. The work may take a checkpoint itself. */
  withArchive<Result>(
    work: (archive: Archive, checkpoint: () => Promise<CheckpointResult>) => Promise<Result>,
  ): Promise<Result> {
    const archive = this.#archive;
    // The stored files are the newest ones if nothing changes them.
    const isKept = this.damage !== undefined && archive.hasCheckpoint;
    return this.#moves.run(() => work(archive, async () => (isKept ? UNCHANGED : await this.#take())));
  }

  /** Makes a snapshot's files the files of the VM, and closes. The VM must boot again with them. */
  async adopt(snapshotId: string): Promise<void> {
    await this.#moves.run(() =>
      this.#changes.run(async () => {
        await this.#archive.adoptSnapshot(snapshotId, this.#recorder.mark().number);
        this.#isClosed = true;
        this.#isReplaced = true;
      }),
    );
    this.#schedule.stop();
  }

  /**
   * Refuses further changes. Idempotent.
   *
   * @param options `keep` takes a last checkpoint; no process runs in the VM any more
   */
  async close({ keep = false } = {}): Promise<void> {
    this.#schedule.stop();
    try {
      if (keep) await this.#finish();
      // Without a last one, a running checkpoint fails when the files are closed.
      this.#isClosed = true;
    } finally {
      this.#checkpoints.close();
    }
  }

  /** Resolves when the checkpoint under way has been stored or has failed. */
  idle(): Promise<void> {
    return this.#schedule.idle();
  }

  async #finish(): Promise<void> {
    if (this.#isClosed) return;
    // A change under way is completed first.
    await this.#changes.run(async () => {
      this.#isClosed = true;
    });
    await this.#schedule.idle();
    if (this.damage === undefined && this.#recorder.isDirty) await this.checkpoint();
  }

  async #take(): Promise<CheckpointResult> {
    if (this.#isReplaced) throw vmStopped();
    if (this.damage !== undefined) throw filesReadOnly(this.damage);
    const recorder = this.#recorder;
    const deps = this.#deps;
    const startedAt = performance.now();
    let isFrozen = false;
    let marked = recorder.mark();
    const mark = () =>
      this.#changes.run(async () => {
        marked = recorder.mark({ isBusy: isFrozen });
        return marked.number;
      });
    const result = await this.#checkpoints.take(mark, {
      changes: () => recorder.seen,
      isBusy: () => deps.isBusy(),
      mappedFiles: () => deps.mappedFiles(),
      freeze: async () => {
        isFrozen = true;
        return await deps.freeze();
      },
    });
    recorder.stored(marked);
    const { files, bytes } = result;
    deps.report({ kind: "checkpoint", ms: performance.now() - startedAt, files, bytes });
    return result;
  }

  #assertOpen(): void {
    if (this.#isClosed) throw vmStopped();
    if (this.damage !== undefined) throw filesReadOnly(this.damage);
  }
}

/** Rethrows a checkpoint's failure as the failure of a change that has been made. */
function notStored(error: unknown): never {
  if (!isStorageFailed(error)) throw error;
  throw storageFailed("The change was made, but could not be stored", error.cause ?? error);
}
