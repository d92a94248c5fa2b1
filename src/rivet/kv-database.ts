import { Mutex } from "../base/mutex.ts";
import { pause } from "../base/pace.ts";
import { Semaphore } from "../base/semaphore.ts";
import { DatabaseSync } from "../base/sqlite.ts";
import { isTableFull } from "../base/system-errors.ts";
import type { ChangeOptions } from "../runtime/store/store.ts";
import { VALUE_SYNCS } from "./disk-turns.ts";
import { FreeRoom } from "./kv-room.ts";
import { isPlaced, type KvEntry, KvRows, type Row } from "./kv-rows.ts";
import { addPlaces, TABLE, WAIT_FOR_LOCKS } from "./kv-schema.ts";
import { LogFile } from "./log-file.ts";
import { LostValues } from "./lost-values.ts";
import { FILE_VALUE_BYTES, ValueFiles, valueFolder } from "./value-files.ts";

/** Entries that a list returns without a limit, as in RivetKit. */
const DEFAULT_LIMIT = 16_384;

/** Options of a list. */
export interface KvListOptions {
  reverse?: boolean;
  limit?: number;
}

interface OpenOptions {
  /** Whether a server that was killed may have left files that nobody needs. @default true */
  isFirst?: boolean;
  /** Values that were lost while the database was open before. @default none */
  lost?: LostValues;
  /** Values of a database that was just made and never opened. They are on disk with the first call that is. @default none */
  first?: readonly KvEntry[] | undefined;
}

/** Databases that are being folded before they are closed. Their syncs share the turns of large values. */
const resting = new Semaphore(2);

/** Idle databases that may wait for a slow disk, each with four open descriptors. Further databases are closed at once, and keep their logs. */
const MAX_WAITING = 64;

const SETTINGS = `${WAIT_FOR_LOCKS}; PRAGMA journal_size_limit = ${4 * 1024 * 1024}`;

/**
 * The key-value database of one actor. A call that resolves is on disk, unless it is lazy: then it is on disk with the next call that
 * is not. Changes take effect in the order of the calls. Deleted content leaves the file soon. Large values of lazy calls are in files
 * of their own.
 *
 * In place of RivetKit 2.2's own, which sums up all values before each write and never gives room back.
 */
export class KvDatabase {
  readonly #db: DatabaseSync;
  readonly #rows: KvRows;
  readonly #files: ValueFiles;
  readonly #room: FreeRoom;
  readonly #order = new Mutex();
  readonly #log: LogFile;
  /** Changes that have not ended. */
  #changes = 0;
  /** Files that no row names any more. They are deleted when the disk knows that. */
  readonly #doomed = new Set<number>();
  readonly #lost: LostValues;
  #isClosing = false;
  #isAtRest = false;
  /** Whether too many others waited for the disk at the last rest, or no descriptor was free. */
  #leavesLog = false;
  /** The rest that is under way. */
  #rest: Promise<void> | undefined;

  private constructor(db: DatabaseSync, path: string, lost: LostValues) {
    this.#db = db;
    this.#lost = lost;
    this.#rows = new KvRows(db);
    this.#room = new FreeRoom(db);
    this.#files = new ValueFiles(valueFolder(path));
    this.#log = new LogFile(db, path);
  }

  /** Whether nothing has begun since `rest`, so that `close` has nothing to write. */
  get isAtRest(): boolean {
    return this.#isAtRest && this.isIdle && this.#rest === undefined;
  }

  /** Whether nothing is under way and nothing waits for the disk. */
  get isIdle(): boolean {
    return this.#changes === 0 && this.#isSettled;
  }

  static async open(
    path: string,
    { isFirst = true, lost = new LostValues(), first }: OpenOptions = {},
  ): Promise<KvDatabase> {
    const db = new DatabaseSync(path);
    const opened = new KvDatabase(db, path, lost);
    try {
      db.exec(SETTINGS);
      if (first !== undefined) {
        await opened.#log.begin();
        opened.#rows.atomically(() => opened.#rows.put(first, new Map()));
        return opened;
      }
      db.exec(`PRAGMA journal_mode = WAL; ${TABLE}`);
      addPlaces(db);
      await opened.#room.convert(path);
      if (isFirst) await opened.#sweep();
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  async put(entries: readonly KvEntry[], options: ChangeOptions = {}): Promise<void> {
    await this.#inOrder(async () => {
      const isLarge = ([, { byteLength }]: KvEntry) => options.isLazy && byteLength >= FILE_VALUE_BYTES;
      const large = entries.filter(isLarge);
      const places = large.length === 0 ? [] : await this.#files.write(large.map(([, value]) => value));
      const placeOf = new Map(large.map(([key], index) => [key, places[index]]));
      try {
        await this.#change(options, () => this.#rows.put(entries, placeOf));
        this.#lost.end(entries.map(([key]) => key));
      } catch (error) {
        for (const { file } of places) this.#doomed.add(file);
        throw error;
      }
    });
  }

  get(keys: readonly Uint8Array[]): (Uint8Array | null)[] {
    this.#log.assertSound();
    return this.#valuesOf(this.#rows.get(keys)).map((value) => value ?? null);
  }

  async delete(keys: readonly Uint8Array[], options: ChangeOptions = {}): Promise<void> {
    await this.#inOrder(async () => {
      await this.#change(options, () => this.#rows.delete(keys));
      this.#lost.end(keys);
    });
    void this.#room.reclaim();
  }

  /** Deletes the entries of a range in steps. A call that fails may have deleted some. */
  async deleteRange(start: Uint8Array, end: Uint8Array, options: ChangeOptions = {}): Promise<void> {
    await this.#inOrder(async () => {
      let { isEmpty, before } = this.#rows.stepOf(start, end);
      for (; before !== undefined; { isEmpty, before } = this.#rows.stepOf(start, end)) {
        const last = before;
        await this.#change({ isLazy: true }, () => this.#rows.deleteRange(start, last));
        await pause();
      }
      // Most ranges that a VM deletes when it starts are empty.
      if (!isEmpty || !options.isLazy) await this.#change(options, () => this.#rows.deleteRange(start, end));
      this.#lost.endRange(start, end);
    });
    void this.#room.reclaim();
  }

  /** Lists entries from `start` on. @param end first key that is not listed; `undefined` lists to the last key */
  list(
    start: Uint8Array,
    end: Uint8Array | undefined,
    { reverse = false, limit = DEFAULT_LIMIT }: KvListOptions = {},
  ): KvEntry[] {
    this.#log.assertSound();
    const entries: KvEntry[] = [];
    let [from, below] = [start, end];
    // A row whose value is lost takes no place of the limit.
    for (;;) {
      const wanted = limit - entries.length;
      const rows = this.#rows.list(from, below, { reverse, limit: wanted });
      const values = this.#valuesOf(rows);
      for (const [index, { key }] of rows.entries()) {
        const value = values[index];
        if (value !== undefined) entries.push([key, value]);
      }
      const last = rows.at(-1)?.key;
      if (last === undefined || rows.length < wanted || entries.length >= limit) return entries;
      if (reverse) below = last;
      else from = Buffer.concat([last, new Uint8Array(1)]);
    }
  }

  /** Brings everything to the disk, if no call is under way. */
  async settle(): Promise<void> {
    if (this.#changes === 0 && !this.#isSettled) await this.#inOrder(() => this.#change({}, () => []));
  }

  /**
   * Brings everything into the database itself, if no call is under way, and syncs it in threads of Node's pool. If too many databases
   * wait for that, or no descriptor is free, `close` leaves the log.
   */
  rest(): Promise<void> {
    this.#rest ??= this.#foldLog().finally(() => {
      this.#rest = undefined;
    });
    return this.#rest;
  }

  /**
   * Ends the changes that were called before, and takes no more.
   *
   * @param leavesLog leaves the log for the next opening, without a sync. @default SQLite folds the log, and syncs unless `rest` has
   */
  async close({ leavesLog = this.#leavesLog } = {}): Promise<void> {
    this.#isClosing = true;
    // Only a database that is idle is closed at once: nobody can have it open a second time meanwhile.
    if (!this.isIdle || this.#rest !== undefined) await this.#order.run(() => this.#files.close());
    try {
      if (leavesLog && this.#db.isOpen) this.#log.leave();
    } catch {
      // For example a full table of descriptors. SQLite folds the log.
    }
    try {
      if (this.#db.isOpen && !this.#log.hasFailed) this.#db.close();
    } finally {
      await this.#log.close();
    }
  }

  async #foldLog(): Promise<void> {
    await this.settle();
    const isFolded = this.#log.isEmpty;
    this.#leavesLog = !isFolded && resting.waiting >= MAX_WAITING;
    if (isFolded || this.#leavesLog) {
      this.#isAtRest = this.#changes === 0;
      return;
    }
    // The turn comes before the order: changes must not wait for large values of other databases.
    await resting.run(() =>
      VALUE_SYNCS.run(async () => {
        if (!this.isIdle || this.#isClosing) return;
        // A change that is called from now on waits.
        await this.#order.run(async () => {
          if (!this.#room.isReclaiming)
            await this.#log.fold().catch((error: unknown) => this.#leaveIfFull(error));
          this.#isAtRest = this.#changes === 0;
        });
      }),
    );
  }

  /** A full table of descriptors must not keep the descriptors of idle databases open. @throws any other error */
  #leaveIfFull(error: unknown): void {
    if (!isTableFull(error)) throw error;
    this.#leavesLog = true;
  }

  /** A database whose log has failed is never settled, so that nobody opens it again in this process. */
  get #isSettled(): boolean {
    return !this.#log.hasFailed && this.#files.isSettled && this.#doomed.size === 0;
  }

  /** Runs one change at a time. */
  async #inOrder(work: () => Promise<void>): Promise<void> {
    if (this.#isClosing) throw new Error("The database is closed");
    this.#isAtRest = false;
    this.#changes += 1;
    try {
      await this.#order.run(async () => {
        // Each change holds the event loop for a moment, and many may wait for the same sync.
        await pause();
        this.#log.assertSound();
        await work();
      });
    } finally {
      this.#changes -= 1;
    }
  }

  /** Makes a change in one transaction. @param change returns files from which it has taken values */
  async #change(
    { isLazy = false, isCommit = false }: ChangeOptions,
    change: () => Iterable<number>,
  ): Promise<void> {
    await this.#log.begin();
    if (!isLazy) await this.#settleFiles();
    if (isCommit) this.#lost.fail();
    const freed = this.#rows.atomically(() => this.#rows.unnamed(change()));
    for (const file of freed) this.#doomed.add(file);
    if (isLazy) return;
    await this.#log.sync();
    this.#files.delete(this.#doomed);
    this.#doomed.clear();
  }

  /**
   * The rows of earlier changes reach the disk with a synced one, and their values must be there. Rows whose values are not are
   * deleted, and the next commit fails: it would count on them.
   */
  async #settleFiles(): Promise<void> {
    if (this.#files.isSettled) return;
    const failed = await this.#files.settle();
    if (failed.size === 0) return;
    const files = [...failed.keys()];
    this.#rows.atomically(() => {
      for (const [file, error] of failed) this.#lost.add(this.#rows.deleteOfFile(file), error);
    });
    for (const file of files) this.#doomed.add(file);
    this.#files.forget(files);
  }

  /** After a loss of power a lazy change may have its row without its file. It counts as not made. */
  #valuesOf(rows: readonly (Row | undefined)[]): (Uint8Array | undefined)[] {
    const values = rows.map((row) => row?.value);
    const places = rows.flatMap((row, index) => (isPlaced(row) ? [{ index, place: row }] : []));
    const read = this.#files.read(places.map(({ place }) => place));
    for (const [at, { index }] of places.entries()) values[index] = read[at];
    return values;
  }

  /** Dooms the files that a killed server has left. */
  async #sweep(): Promise<void> {
    const files = await this.#files.list();
    if (files.length === 0) return;
    const named = this.#rows.files();
    for (const file of files) if (!named.has(file)) this.#doomed.add(file);
  }
}
