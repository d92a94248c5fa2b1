import type { StatementSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { pause } from "../base/pace.ts";
import { DatabaseSync } from "../base/sqlite.ts";
import { addPlaces, TABLE } from "./kv-schema.ts";
import { FILE_VALUE_BYTES, ValueFiles, type ValuePlace, valueFolder } from "./value-files.ts";

/** Entries that a list returns without a limit, as in RivetKit. */
const DEFAULT_LIMIT = 16_384;

/** Mode of a database whose free pages can be given back in pieces. */
const INCREMENTAL = 2;

/** A database below this size is rewritten at once, and a larger one in a worker. */
const SMALL_PAGES = 64;

/** Free pages are given back above this number, if they are at least a quarter of the file. */
const FREE_PAGES = 1_024;

/** Pages that are given back in one step, which holds the event loop. */
const STEP_PAGES = 64;

type Entry = [Uint8Array, Uint8Array];

/** Options of a list. */
export interface KvListOptions {
  reverse?: boolean;
  limit?: number;
}

type Row = { key: Uint8Array; value: Uint8Array } & { [Part in keyof ValuePlace]: number | null };

/** A value that is in a file has no bytes in its row. */
const NO_BYTES = new Uint8Array();

/**
 * The key-value database of one actor. A call that resolves is on disk, unless it is lazy: then it is on disk with the next call that
 * is not. Deleted content leaves the file soon. Large values of lazy calls are in files of their own.
 *
 * In place of RivetKit 2.2's own, which sums up all values before each write and never gives room back.
 */
export class KvDatabase {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #files: ValueFiles;
  #reclaiming = false;
  #isLazy = false;
  /** Calls that have not ended. */
  #calls = 0;

  private constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#files = new ValueFiles(valueFolder(path));
  }

  /** Whether a call is under way, or files wait for the next synced change: another connection would not know of them. */
  get isBusy(): boolean {
    return this.#calls > 0 || !this.#files.isSynced;
  }

  /** @param isFirst whether a server that was killed may have left files that nobody needs. @default true */
  static async open(path: string, isFirst = true): Promise<KvDatabase> {
    const db = new DatabaseSync(path);
    try {
      db.exec(
        `PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${4 * 1024 * 1024}; ${TABLE}`,
      );
      addPlaces(db);
      const opened = new KvDatabase(db, path);
      if (isFirst) void opened.#sweep();
      if (opened.#pragma("auto_vacuum") !== INCREMENTAL) await opened.#convert(path);
      return opened;
    } catch (error) {
      db.close();
      throw error;
    }
  }

  async put(entries: readonly Entry[], isLazy = false): Promise<void> {
    const large = isLazy ? entries.filter(([, value]) => value.byteLength >= FILE_VALUE_BYTES) : [];
    if (large.length === 0) return await this.#change(isLazy, () => this.#put(entries, new Map()));
    const work = async (places: readonly ValuePlace[]) => {
      const placeOf = new Map(large.map(([key], index) => [key, places[index]]));
      await this.#change(isLazy, () => this.#put(entries, placeOf));
    };
    this.#calls += 1;
    try {
      await this.#files.write(
        large.map(([, value]) => value),
        work,
      );
    } finally {
      this.#calls -= 1;
    }
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
    const get = this.#statement("SELECT * FROM kv WHERE key = ?");
    return this.#valuesOf(keys.map((key) => get.get(key) as Row | undefined)).map((value) => value ?? null);
  }

  async delete(keys: readonly Uint8Array[]): Promise<void> {
    await this.#change(false, () => {
      const remove = this.#statement("DELETE FROM kv WHERE key = ? RETURNING file");
      const rows = keys.flatMap((key) => remove.all(key) as unknown as Pick<Row, "file">[]);
      return new Set(rows.flatMap(({ file }) => file ?? []));
    });
  }

  async deleteRange(start: Uint8Array, end: Uint8Array, isLazy = false): Promise<void> {
    await this.#change(isLazy, () => {
      const freed = this.#statement(
        "SELECT DISTINCT file FROM kv WHERE key >= ? AND key < ? AND file IS NOT NULL",
      ).all(start, end) as unknown as { file: number }[];
      this.#statement("DELETE FROM kv WHERE key >= ? AND key < ?").run(start, end);
      return freed.map(({ file }) => file);
    });
  }

  /** Lists entries from `start` on. @param end first key that is not listed; `undefined` lists to the last key */
  list(start: Uint8Array, end: Uint8Array | undefined, { reverse, limit }: KvListOptions = {}): Entry[] {
    const order = reverse ? "DESC" : "ASC";
    const below = end === undefined ? "" : "AND key < ? ";
    const select = this.#statement(`SELECT * FROM kv WHERE key >= ? ${below}ORDER BY key ${order} LIMIT ?`);
    const bounds = end === undefined ? [start] : [start, end];
    const rows = select.all(...bounds, limit ?? DEFAULT_LIMIT) as unknown as Row[];
    const values = this.#valuesOf(rows);
    return rows.flatMap(({ key }, index): Entry[] => {
      const value = values[index];
      return value === undefined ? [] : [[key, value]];
    });
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  /** In FULL each commit syncs the whole log, with all changes before it. In NORMAL the log is synced before it is written back. */
  #sync(isLazy: boolean): void {
    if (this.#isLazy === isLazy) return;
    this.#db.exec(`PRAGMA synchronous = ${isLazy ? "NORMAL" : "FULL"}`);
    this.#isLazy = isLazy;
  }

  /** Makes a change in one transaction. @param change returns files from which it has taken values */
  async #change(isLazy: boolean, change: () => Iterable<number>): Promise<void> {
    this.#calls += 1;
    try {
      // The rows of earlier changes reach the disk with this one, and their values must be there.
      if (!isLazy && !this.#files.isSynced) await this.#files.synced();
      this.#sync(isLazy);
      const touched = this.#atomically(change);
      const isNamed = this.#statement("SELECT 1 FROM kv WHERE file = ?");
      this.#files.delete([...touched].filter((file) => isNamed.get(file) === undefined));
    } finally {
      this.#calls -= 1;
    }
    void this.#reclaim();
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

  async #sweep(): Promise<void> {
    try {
      await this.#files.sweep(() => {
        const rows = this.#statement("SELECT DISTINCT file FROM kv WHERE file IS NOT NULL").all();
        return new Set(rows.map(({ file }) => Number(file)));
      });
    } catch {
      // The database was closed meanwhile. The next server tries again.
    }
  }

  /** Gives free pages back to the file system, a few at a time. */
  async #reclaim(): Promise<void> {
    if (this.#reclaiming || this.#freePages() === 0) return;
    this.#reclaiming = true;
    try {
      while (this.#db.isOpen && this.#freePages() > 0) {
        this.#db.exec(`PRAGMA incremental_vacuum(${STEP_PAGES})`);
        // Other work of the server goes first.
        await new Promise((resolve) => setImmediate(resolve));
        await pause();
      }
    } catch {
      // A full disk or a lock. The next change tries again.
    } finally {
      this.#reclaiming = false;
    }
  }

  /** Number of free pages, or 0 if they are too few to give back. */
  #freePages(): number {
    const free = this.#pragma("freelist_count");
    return free > FREE_PAGES && free * 4 > this.#pragma("page_count") ? free : 0;
  }

  /** Rewrites a database that an earlier version has made, so that it can give room back. */
  async #convert(path: string): Promise<void> {
    if (this.#pragma("page_count") <= SMALL_PAGES) {
      try {
        this.#db.exec(CONVERT);
      } catch {
        // For example a full disk. The database works as it is.
      }
      return;
    }
    // Only a database with much free room is worth the time.
    if (this.#freePages() === 0) return;
    const worker = new Worker(
      `const { DatabaseSync } = require("node:sqlite");
       const db = new DatabaseSync(require("node:worker_threads").workerData);
       db.exec(${JSON.stringify(CONVERT)});
       db.close();`,
      { eval: true, workerData: path },
    );
    await new Promise<void>((resolve) => {
      // A failure changes nothing: the database is used as it is.
      worker.once("error", () => resolve());
      worker.once("exit", () => resolve());
    });
  }

  #pragma(name: "auto_vacuum" | "freelist_count" | "page_count"): number {
    return Number(Object.values(this.#statement(`PRAGMA ${name}`).get() ?? {})[0]);
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

const CONVERT = "PRAGMA auto_vacuum = INCREMENTAL; VACUUM";
