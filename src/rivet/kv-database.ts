import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StatementSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { pause } from "../base/pace.ts";
import { DatabaseSync } from "../base/sqlite.ts";

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

/** The table is RivetKit's own, so that either can read the other's files. */
const SCHEMA = "CREATE TABLE IF NOT EXISTS kv (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL)";

type Entry = [Uint8Array, Uint8Array];

/** Options of a list. */
export interface KvListOptions {
  reverse?: boolean;
  limit?: number;
}

interface Row {
  key: Uint8Array;
  value: Uint8Array;
}

let empty: Buffer | undefined;

/**
 * Makes an empty database, as a copy of a file of SQLite. SQLite itself would sync a new file six times, and hold the event
 * loop meanwhile.
 *
 * @param path of a file that does not exist
 */
export async function createKvDatabase(path: string): Promise<void> {
  empty ??= emptyDatabase();
  const file = await open(path, "wx");
  try {
    await file.writeFile(empty);
    // The first change syncs only the log beside this file, and the entries of both in their folder.
    await file.sync();
  } finally {
    await file.close();
  }
}

function emptyDatabase(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "agent-vm-empty-"));
  try {
    const path = join(folder, "empty.db");
    const db = new DatabaseSync(path);
    // The mode can be set only before the first table.
    db.exec(
      `PRAGMA synchronous = OFF; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; ${SCHEMA}`,
    );
    db.close();
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The key-value database of one actor. A call that resolves is on disk, unless it is lazy: then it is on disk with the next call that
 * is not. Deleted content leaves the file soon.
 *
 * In place of RivetKit 2.2's own, which sums up all values before each write and never gives room back.
 */
export class KvDatabase {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #reclaiming = false;
  #isLazy = false;

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  static async open(path: string): Promise<KvDatabase> {
    const db = new DatabaseSync(path);
    try {
      db.exec(
        `PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${4 * 1024 * 1024}; ${SCHEMA}`,
      );
      const opened = new KvDatabase(db);
      if (opened.#pragma("auto_vacuum") !== INCREMENTAL) await opened.#convert(path);
      return opened;
    } catch (error) {
      db.close();
      throw error;
    }
  }

  put(entries: readonly Entry[], isLazy = false): void {
    this.#sync(isLazy);
    this.#atomically(() => {
      const put = this.#statement("INSERT OR REPLACE INTO kv (key, value) VALUES (?, ?)");
      for (const [key, value] of entries) put.run(key, value);
    });
    void this.#reclaim();
  }

  get(keys: readonly Uint8Array[]): (Uint8Array | null)[] {
    const get = this.#statement("SELECT value FROM kv WHERE key = ?");
    return keys.map((key) => (get.get(key) as Row | undefined)?.value ?? null);
  }

  delete(keys: readonly Uint8Array[]): void {
    this.#sync(false);
    this.#atomically(() => {
      const remove = this.#statement("DELETE FROM kv WHERE key = ?");
      for (const key of keys) remove.run(key);
    });
    void this.#reclaim();
  }

  deleteRange(start: Uint8Array, end: Uint8Array, isLazy = false): void {
    this.#sync(isLazy);
    this.#statement("DELETE FROM kv WHERE key >= ? AND key < ?").run(start, end);
    void this.#reclaim();
  }

  /** Lists entries from `start` on. @param end first key that is not listed; `undefined` lists to the last key */
  list(start: Uint8Array, end: Uint8Array | undefined, { reverse, limit }: KvListOptions = {}): Entry[] {
    const order = reverse ? "DESC" : "ASC";
    const below = end === undefined ? "" : "AND key < ? ";
    const select = this.#statement(
      `SELECT key, value FROM kv WHERE key >= ? ${below}ORDER BY key ${order} LIMIT ?`,
    );
    const bounds = end === undefined ? [start] : [start, end];
    const rows = select.all(...bounds, limit ?? DEFAULT_LIMIT) as unknown as Row[];
    return rows.map(({ key, value }) => [key, value]);
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

  #atomically(work: () => void): void {
    this.#db.exec("BEGIN");
    try {
      work();
      this.#db.exec("COMMIT");
    } catch (error) {
      // SQLite itself may have rolled back, for example on a full disk.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
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

const CONVERT = "PRAGMA auto_vacuum = INCREMENTAL; VACUUM";
