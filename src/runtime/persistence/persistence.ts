import { vmStopped } from "../../api/errors.ts";
import type { CheckpointResult } from "../../api/types.ts";
import { isStorageFailed, storageFailed } from "../coded-store.ts";
import { Files } from "../filesystem/files.ts";
import { Mutex } from "../mutex.ts";
import type { FileSystem } from "../sandbox/files.ts";
import type { Store } from "../store.ts";
import { Archive } from "./archive.ts";
import { type Change, Journal, readJournal, replay } from "./journal.ts";
import { prefixOf } from "./keys.ts";
import { type RestoreOptions, restoreTree } from "./restore.ts";
import { type Excludes, excludes } from "./scan.ts";
import type { Freezer } from "./taking.ts";

/** After the end of a command, or when its output pauses, the next checkpoint is this far away, in milliseconds. */
const SETTLE_MS = 1_000;

/** Journalled bytes that a restart would have to go through again; above this a checkpoint is taken. */
const MAX_JOURNAL_BYTES = 16 * 1024 * 1024;

export interface PersistenceOptions {
  /** Milliseconds between checkpoints while something runs. */
  intervalMs: number;
  /** Globs of absolute paths that are not kept. */
  exclude: readonly string[];
}

/** What persistence needs of its surroundings. */
export interface PersistenceHooks extends Omit<Freezer, "changes"> {
  /** The VM must not be put to sleep while the promise is pending. */
  keepAwake(work: Promise<unknown>): void;
  /** Makes the files of a VM that has none of its own yet. @default it has those that it boots with */
  plant?(): Promise<void>;
  /** A checkpoint that nobody waits for has failed; the next one tries again. */
  onFailure(error: unknown): void;
}

interface PersistenceParts {
  store: Store;
  files: FileSystem;
  isExcluded: Excludes;
  archive: Archive;
  journal: Journal;
  hooks: PersistenceHooks;
}

/** Keeps one booted VM's files in its store. */
export class Persistence {
  readonly #store: Store;
  readonly #files: FileSystem;
  readonly #isExcluded: Excludes;
  readonly #hooks: PersistenceHooks;
  readonly #archive: Archive;
  readonly #journal: Journal;
  /** File actions change the tree one after the other, in the order of the journal. */
  readonly #changes = new Mutex();
  /** A move during a checkpoint could hide a file from it; each waits for the other. */
  readonly #moves = new Mutex();
  readonly #interval: NodeJS.Timeout;
  #soon: NodeJS.Timeout | undefined;
  /** Something may have changed since the last checkpoint began. */
  #dirty = false;
  /** Counts what may have changed files. */
  #changesSeen = 0;
  /** The newest change that the journal does not have. Until a checkpoint has it, no later one can be put there. */
  #hole = -1;
  /** Number of the first change that the last checkpoint does not have, and what had been seen by then. */
  #marked: { number: number; changesSeen: number };
  /** Paths that the journal has made since, with the number of the change. */
  readonly #made = new Map<string, number>();
  #running: Promise<CheckpointResult> | undefined;
  #queued: Promise<CheckpointResult> | undefined;
  #closed = false;

  private constructor(parts: PersistenceParts, intervalMs: number) {
    this.#store = parts.store;
    this.#files = parts.files;
    this.#isExcluded = parts.isExcluded;
    this.#archive = parts.archive;
    this.#journal = parts.journal;
    this.#hooks = parts.hooks;
    this.#marked = { number: parts.journal.next, changesSeen: 0 };
    this.#interval = setInterval(() => void this.#tick(), intervalMs).unref();
  }

  /**
   * Makes a fresh VM's files what the store has.
   *
   * @throws AgentVmError `storage_damaged` where they cannot be had whole
   */
  static async open(
    store: Store,
    files: FileSystem,
    options: PersistenceOptions,
    restore: RestoreOptions,
    hooks: PersistenceHooks,
  ): Promise<Persistence> {
    const isExcluded: Excludes = excludes(options.exclude);
    const archive = await Archive.open(store, isExcluded);
    let lost = 0;
    if (archive.head.root !== null) lost = await restoreTree(archive, store, files, isExcluded, restore);
    const isNew = hooks.plant !== undefined && archive.head.root === null && (await isEmptyJournal(store));
    if (isNew) await hooks.plant?.();
    const target = new Files(files);
    let next = archive.head.journal;
    let replayed = false;
    for await (const [number, change] of readJournal(store, restore.allowMissing)) {
      if (change === undefined) lost += 1;
      else await replay(change, target);
      next = Math.max(next, number + 1);
      replayed = true;
    }
    const persistence = new Persistence(
      { store, files, isExcluded, archive, journal: new Journal(store, next), hooks },
      options.intervalMs,
    );
    // What is lost is given up with the next checkpoint.
    if (replayed || lost > 0) persistence.touch();
    // From now on the VM has files of its own, whatever others of its kind will start from.
    try {
      if (isNew) await persistence.keepNow();
    } catch (error) {
      await persistence.close(false);
      throw error;
    }
    return persistence;
  }

  get files(): FileSystem {
    return this.#files;
  }

  get isExcluded(): Excludes {
    return this.#isExcluded;
  }

  get archive(): Archive {
    return this.#archive;
  }

  get store(): Store {
    return this.#store;
  }

  /**
   * Makes a change of the tree durable.
   *
   * @param work makes the change
   * @returns once the change is made; `durable` resolves when it survives the server's death
   */
  async change(change: Change, work: () => Promise<void>): Promise<{ durable: Promise<void> }> {
    const make = async () => {
      this.#assertOpen();
      const isReplayable = await this.#isReplayable(change);
      await work();
      return this.#record(change, isReplayable);
    };
    const recorded =
      change.action === "move" ? this.#moves.run(() => this.#changes.run(make)) : this.#changes.run(make);
    return await recorded;
  }

  /** For a change that the journal cannot take: it is durable with the next checkpoint. */
  async keepNow(): Promise<void> {
    try {
      await this.checkpoint();
    } catch (error) {
      notStored(error);
    }
  }

  /** Takes a checkpoint that has everything that happened before the call. */
  checkpoint(): Promise<CheckpointResult> {
    if (this.#running === undefined) return this.#start();
    // The one that runs may have passed by what was changed meanwhile.
    this.#queued ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#queued = undefined;
        return this.#start();
      });
    return this.#queued;
  }

  /** Something has ended or paused that may have changed files. */
  touch(): void {
    this.begin();
    if (this.#closed) return;
    if (this.#soon !== undefined) this.#soon.refresh();
    else this.#soon = setTimeout(() => this.#settled(), SETTLE_MS).unref();
  }

  /** Something has begun that may change files. */
  begin(): void {
    this.#dirty = true;
    this.#changesSeen += 1;
  }

  /**
   * Ends it.
   *
   * @param keep takes a last checkpoint; nothing runs in the VM any more
   */
  async close(keep: boolean): Promise<void> {
    clearInterval(this.#interval);
    clearTimeout(this.#soon);
    if (this.#closed) return;
    if (!keep) {
      // A checkpoint that runs comes to nothing when the files are closed.
      this.#closed = true;
      return;
    }
    // What is being changed now comes to its end.
    await this.#changes.run(async () => {
      this.#closed = true;
    });
    await this.#running?.catch(() => undefined);
    if (this.#dirty || this.#journal.bytes > 0) await this.#start();
  }

  /** Runs work while no checkpoint is taken. */
  alone<Result>(work: (archive: Archive) => Promise<Result>): Promise<Result> {
    return this.#moves.run(() => work(this.#archive));
  }

  /** Takes a checkpoint, and runs work before another one. */
  withCheckpoint<Result>(work: (archive: Archive) => Promise<Result>): Promise<Result> {
    return this.#moves.run(async () => {
      await this.#take();
      return await work(this.#archive);
    });
  }

  /** Runs a change of the tree that is no file action, and keeps what it did. */
  async changeTree<Result>(work: (archive: Archive) => Promise<Result>): Promise<Result> {
    return await this.#moves.run(async () => {
      const result = await this.#changes.run(() => {
        this.#assertOpen();
        this.#hole = this.#journal.skip();
        return work(this.#archive);
      });
      await this.#take().catch(notStored);
      return result;
    });
  }

  /** Makes a snapshot's files the VM's. The tree that runs is another thing from then on: the VM has to boot anew. */
  async adopt(snapshotId: string): Promise<void> {
    await this.#moves.run(() =>
      this.#changes.run(async () => {
        await this.#archive.adoptSnapshot(snapshotId, this.#journal.next);
        this.#closed = true;
      }),
    );
    await this.close(false);
  }

  /**
   * Whether a restart can do the change again on what the last checkpoint has. What is moved may be younger: processes
   * have made it. Nothing else needs what was there before.
   */
  async #isReplayable(change: Change): Promise<boolean> {
    if (!Journal.takes(change)) return false;
    if (change.action !== "move" || this.#made.has(change.from)) return true;
    const isQuiet = this.#marked.changesSeen === this.#changesSeen && !(await this.#hooks.isBusy());
    if (isQuiet) return true;
    const node = await this.#files.tree.stat(change.from).catch(() => undefined);
    return node !== undefined && this.#archive.knows(node.ino);
  }

  #record(change: Change, isReplayable: boolean): { durable: Promise<void> } {
    this.#dirty = true;
    if (!isReplayable || this.#hole >= this.#marked.number) {
      this.#hole = this.#journal.skip();
      return { durable: this.keepNow() };
    }
    const number = this.#journal.next;
    if (change.action !== "delete")
      this.#made.set(change.action === "move" ? change.to : change.path, number);
    const durable = this.#journal.append(change).catch(async () => {
      this.#hole = Math.max(this.#hole, number);
      await this.keepNow();
    });
    if (this.#journal.bytes > MAX_JOURNAL_BYTES) this.#background();
    return { durable };
  }

  #start(): Promise<CheckpointResult> {
    const running = this.#moves.run(() => this.#take());
    this.#running = running;
    this.#hooks.keepAwake(running);
    const done = () => {
      if (this.#running === running) this.#running = undefined;
    };
    running.then(done, done);
    return running;
  }

  async #take(): Promise<CheckpointResult> {
    this.#dirty = false;
    let marked = this.#marked;
    // Changes from here on are replayed on top of the checkpoint, whether it has seen them or not.
    const mark = () =>
      this.#changes.run(async () => {
        marked = { number: this.#journal.next, changesSeen: this.#changesSeen };
        return marked.number;
      });
    try {
      const result = await this.#archive.checkpoint(this.#files.tree, mark, this.#freezer);
      this.#marked = marked;
      for (const [path, number] of this.#made) if (number < marked.number) this.#made.delete(path);
      this.#journal.restart();
      return result;
    } catch (error) {
      this.#dirty = true;
      throw error;
    }
  }

  get #freezer(): Freezer {
    const changes = () => this.#changesSeen;
    return {
      get changes() {
        return changes();
      },
      isBusy: () => this.#hooks.isBusy(),
      mappedFiles: () => this.#hooks.mappedFiles(),
      freeze: () => this.#hooks.freeze(),
    };
  }

  #settled(): void {
    this.#soon = undefined;
    if (this.#dirty) this.#background();
  }

  async #tick(): Promise<void> {
    try {
      if (this.#dirty || this.#journal.bytes > 0 || (await this.#hooks.isBusy())) this.#background();
    } catch (error) {
      this.#hooks.onFailure(error);
    }
  }

  #background(): void {
    if (this.#closed || this.#running !== undefined) return;
    this.#start().catch((error: unknown) => {
      if (!this.#closed) this.#hooks.onFailure(error);
    });
  }

  #assertOpen(): void {
    if (this.#closed) throw vmStopped();
  }
}

/** Says of a checkpoint's failure what it means for a change that has been made. */
function notStored(error: unknown): never {
  if (!isStorageFailed(error)) throw error;
  throw storageFailed("The change was made, but could not be stored", error.cause ?? error);
}

async function isEmptyJournal(store: Store): Promise<boolean> {
  return (await store.list(prefixOf("journal"), { limit: 1 })).length === 0;
}
