import type { StatementSync } from "node:sqlite";
import { Mutex } from "../base/mutex.ts";
import { pause } from "../base/pace.ts";
import { DatabaseSync } from "../base/sqlite.ts";
import type { ChangeOptions } from "../runtime/store/store.ts";
import { FreeRoom } from "./kv-room.ts";
import { addPlaces, TABLE } from "./kv-schema.ts";
import { LogFile } from "./log-file.ts";
import { LostValues } from "./lost-values.ts";
import { FILE_VALUE_BYTES, ValueFiles, type ValuePlace, valueFolder } from "./value-files.ts";

/** Entries that a list returns without a limit, as in RivetKit. */
const DEFAULT_LIMIT = 16_384;

/** Rows that one step of a long deletion deletes, which holds the event loop. */
const STEP_ROWS = 32;

type Entry = [Uint8Array, Uint8Array];

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
  first?: readonly Entry[] | undefined;
}

const SETTINGS = `PRAGMA busy_timeout = 5000; PRAGMA journal_size_limit = ${4 * 1024 * 1024}`;

type Row = { key: Uint8Array; value: Uint8Array } & { [Part in keyof ValuePlace]: number | null };

/** A value that is in a file has no bytes in its row. */
const NO_BYTES = new Uint8Array();

/**
 * The key-value database of one actor. A call that resolves is on disk, unless it is lazy: then it is on disk with the next call that
 * is not. Changes take effect in the order of the calls. Deleted content leaves the file soon. Large values of lazy calls are in files
 * of their own.
 *
 * In place of RivetKit 2.2's own, which sums up all values before each write and never gives room back.
 */
export class KvDatabase {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
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

  private constructor(db: DatabaseSync, path: string, lost: LostValues) {
    this.#db = db;
    this.#lost = lost;
    this.#room = new FreeRoom(db);
    this.#files = new ValueFiles(valueFolder(path));
    this.#log = new LogFile(db, path);
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
        opened.#atomically(() => opened.#put(first, new Map()));
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

  async put(entries: readonly Entry[], options: ChangeOptions = {}): Promise<void> {
    await this.#inOrder(async () => {
      const isLarge = ([, { byteLength }]: Entry) => options.isLazy && byteLength >= FILE_VALUE_BYTES;
      const large = entries.filter(isLarge);
      const places = large.length === 0 ? [] : await this.#files.write(large.map(([, value]) => value));
      const placeOf = new Map(large.map(([key], index) => [key, places[index]]));
      try {
        await this.#change(options, () => this.#put(entries, placeOf));
        this.#lost.end(entries.map(([key]) => key));
      } catch (error) {
        for (const { file } of places) this.#doomed.add(file);
        throw error;
      }
    });
  }

  /** @returns files of the values that were replaced */
  #put(
    entries: readonly Entry[],
    places: ReadonlyMap<Uint8Array, ValuePlace | undefined>,
  ): ReadonlySet<number> {
    const replaced = new Set<number>();
    const put = this.#statement(
      "INSERT OR REPLACE INTO kv (key, value, file, start, size) VALUES (?, ?, ?, ?, ?)",
    );
    const find = this.#statement("SELECT file FROM kv WHERE key = ? AND file IS NOT NULL");
    for (const [key, value] of entries) {
      const old = find.get(key) as { file: number } | undefined;
      if (old !== undefined) replaced.add(old.file);
      const place = places.get(key);
      put.run(
        key,
        place === undefined ? value : NO_BYTES,
        place?.file ?? null,
        place?.start ?? null,
        place?.size ?? null,
      );
    }
    return replaced;
  }

  get(keys: readonly Uint8Array[]): (Uint8Array | null)[] {
    this.#log.assertSound();
    const get = this.#statement("SELECT * FROM kv WHERE key = ?");
    return this.#valuesOf(keys.map((key) => get.get(key) as Row | undefined)).map((value) => value ?? null);
  }

  async delete(keys: readonly Uint8Array[], options: ChangeOptions = {}): Promise<void> {
    const remove = () => {
      const remove = this.#statement("DELETE FROM kv WHERE key = ? RETURNING file");
      const rows = keys.flatMap((key) => remove.all(key) as unknown as Pick<Row, "file">[]);
      return new Set(rows.flatMap(({ file }) => file ?? []));
    };
    await this.#inOrder(async () => {
      await this.#change(options, remove);
      this.#lost.end(keys);
    });
  }

  /** Deletes the entries of a range in steps. A call that fails may have deleted some. */
  async deleteRange(start: Uint8Array, end: Uint8Array, options: ChangeOptions = {}): Promise<void> {
    await this.#inOrder(async () => {
      let last = this.#keyAfter(start, end);
      for (; last !== undefined; last = this.#keyAfter(start, end)) {
        const before = last;
        await this.#change({ isLazy: true }, () => this.#deleteRange(start, before));
        await pause();
      }
      await this.#change(options, () => this.#deleteRange(start, end));
      this.#lost.endRange(start, end);
    });
  }

  /** Returns the key of a range before which one step deletes; `undefined` if one step deletes the whole range. */
  #keyAfter(start: Uint8Array, end: Uint8Array): Uint8Array | undefined {
    const find = this.#statement(
      `SELECT key FROM kv WHERE key >= ? AND key < ? ORDER BY key LIMIT 1 OFFSET ${STEP_ROWS}`,
    );
    return (find.get(start, end) as Pick<Row, "key"> | undefined)?.key;
  }

  /** @returns files of the values that were deleted */
  #deleteRange(start: Uint8Array, end: Uint8Array): number[] {
    const find = "SELECT DISTINCT file FROM kv WHERE key >= ? AND key < ? AND file IS NOT NULL";
    const freed = this.#statement(find).all(start, end) as unknown as { file: number }[];
    this.#statement("DELETE FROM kv WHERE key >= ? AND key < ?").run(start, end);
    return freed.map(({ file }) => file);
  }

  /** Lists entries from `start` on. @param end first key that is not listed; `undefined` lists to the last key */
  list(
    start: Uint8Array,
    end: Uint8Array | undefined,
    { reverse, limit = DEFAULT_LIMIT }: KvListOptions = {},
  ): Entry[] {
    this.#log.assertSound();
    const entries: Entry[] = [];
    let [from, below] = [start, end];
    // A row whose value is lost takes no place of the limit.
    for (;;) {
      const wanted = limit - entries.length;
      const rows = this.#rows(from, below, reverse === true, wanted);
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

  #rows(from: Uint8Array, below: Uint8Array | undefined, isReverse: boolean, limit: number): Row[] {
    const order = isReverse ? "DESC" : "ASC";
    const bound = below === undefined ? "" : "AND key < ? ";
    const select = this.#statement(`SELECT * FROM kv WHERE key >= ? ${bound}ORDER BY key ${order} LIMIT ?`);
    const bounds = below === undefined ? [from] : [from, below];
    return select.all(...bounds, limit) as unknown as Row[];
  }

  /** Brings everything to the disk, if no call is under way. */
  async settle(): Promise<void> {
    if (this.#changes === 0 && !this.#isSettled) await this.#inOrder(() => this.#change({}, () => []));
  }

  /** Ends the changes that were called before, and takes no more. */
  async close(): Promise<void> {
    this.#isClosing = true;
    // Only a database that is idle is closed at once: nobody can have it open a second time meanwhile.
    if (!this.isIdle) await this.#order.run(() => this.#files.close());
    try {
      if (this.#db.isOpen) this.#db.close();
    } finally {
      await this.#log.close();
    }
  }

  /** A database whose log has failed is never settled: to close it would fold the log. */
  get #isSettled(): boolean {
    return !this.#log.hasFailed && this.#files.isSettled && this.#doomed.size === 0;
  }

  /** Runs one change at a time. */
  async #inOrder(work: () => Promise<void>): Promise<void> {
    if (this.#isClosing) throw new Error("The database is closed");
    this.#changes += 1;
    try {
      await this.#order.run(async () => {
        // Each change holds the event loop for a moment, and many may wait for the same sync.
        await pause();
        await work();
      });
    } finally {
      this.#changes -= 1;
    }
    void this.#room.reclaim();
  }

  /** Makes a change in one transaction. @param change returns files from which it has taken values */
  async #change(
    { isLazy = false, isCommit = false }: ChangeOptions,
    change: () => Iterable<number>,
  ): Promise<void> {
    await this.#log.begin();
    if (!isLazy) await this.#settleFiles();
    if (isCommit) this.#lost.fail();
    const freed = this.#atomically(() => this.#unnamed(change()));
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
    this.#atomically(() => {
      const drop = this.#statement("DELETE FROM kv WHERE file = ? RETURNING key");
      for (const [file, error] of failed) {
        const rows = drop.all(file) as unknown as Pick<Row, "key">[];
        this.#lost.add(
          rows.map(({ key }) => key),
          error,
        );
      }
    });
    for (const file of files) this.#doomed.add(file);
    this.#files.forget(files);
  }

  /** Returns the files that no row names. */
  #unnamed(files: Iterable<number>): number[] {
    const isNamed = this.#statement("SELECT 1 FROM kv WHERE file = ?");
    return [...files].filter((file) => isNamed.get(file) === undefined);
  }

  #atomically<Result>(work: () => Result): Result {
    this.#db.exec("BEGIN");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      // SQLite itself may have rolled back, for example on a full disk.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
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
    const rows = this.#statement("SELECT DISTINCT file FROM kv WHERE file IS NOT NULL").all();
    const named = new Set(rows.map(({ file }) => Number(file)));
    for (const file of files) if (!named.has(file)) this.#doomed.add(file);
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function isPlaced(row: Row | undefined): row is Row & ValuePlace {
  return typeof row?.file === "number";
}
