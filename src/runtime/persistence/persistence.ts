import { AgentVmError, vmStopped } from "../../api/errors.ts";
import type { CheckpointResult } from "../../api/types.ts";
import { Files } from "../filesystem/files.ts";
import { Mutex } from "../mutex.ts";
import type { FileSystem } from "../sandbox/files.ts";
import type { Store } from "../store.ts";
import { Archive, type Freezer } from "./archive.ts";
import { type Change, Journal, readJournal, replay } from "./journal.ts";
import { type RestoreOptions, restoreTree } from "./restore.ts";
import { type Excludes, excludes } from "./scan.ts";

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
export interface PersistenceHooks extends Freezer {
  /** The VM must not be put to sleep while the promise is pending. */
  keepAwake(work: Promise<unknown>): void;
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
  /** A record was not put: until the next checkpoint the journal has a hole. */
  #broken = false;
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
    const target = new Files(files);
    let next = archive.head.journal;
    let replayed = false;
    for await (const [number, change] of readJournal(store)) {
      await replay(change, target);
      next = Math.max(next, number + 1);
      replayed = true;
    }
    const persistence = new Persistence(
      { store, files, isExcluded, archive, journal: new Journal(store, next), hooks },
      options.intervalMs,
    );
    // What is lost is given up with the next checkpoint.
    if (replayed || lost > 0) persistence.touch();
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
      await work();
      return this.#record(change);
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
      if (error instanceof AgentVmError) throw error;
      throw storageFailed(error);
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
    this.#dirty = true;
    if (this.#closed) return;
    if (this.#soon !== undefined) this.#soon.refresh();
    else this.#soon = setTimeout(() => this.#settled(), SETTLE_MS).unref();
  }

  /** Something has begun that may change files. */
  begin(): void {
    this.#dirty = true;
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
        return work(this.#archive);
      });
      await this.#take();
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

  #record(change: Change): { durable: Promise<void> } {
    this.#dirty = true;
    if (this.#broken || !Journal.takes(change)) return { durable: this.keepNow() };
    const durable = this.#journal.append(change).catch(async () => {
      this.#broken = true;
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
    try {
      // Changes from here on are replayed on top of the checkpoint, whether it has seen them or not.
      const journal = await this.#changes.run(async () => this.#journal.next);
      const result = await this.#archive.checkpoint(this.#files.tree, journal, this.#hooks);
      this.#journal.restart();
      this.#broken = false;
      return result;
    } catch (error) {
      this.#dirty = true;
      throw error;
    }
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

function storageFailed(cause: unknown): AgentVmError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new AgentVmError(
    "storage_failed",
    `The change was made, but could not be stored: ${detail}`,
    {},
    { cause },
  );
}
