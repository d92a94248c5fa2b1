import { statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import type { DatabaseSync } from "../base/sqlite.ts";
import { inTurn, LOG_SYNCS, syncFolder } from "./disk-turns.ts";

/**
 * The log of a database (the WAL of SQLite), whose syncs are made in a thread of Node's pool. SQLite's own sync after each commit would
 * hold the event loop, and the changes of all other actors with it. Part of agent-vm's own storage of actors.
 *
 * With `synchronous = NORMAL` SQLite leaves out that sync alone. It still syncs a log that it writes from the start again, and the log
 * before it is folded into the database.
 */
export class LogFile {
  readonly #db: DatabaseSync;
  readonly #path: string;
  #hasBegun = false;
  /** `false` for a database without a log, which SQLite itself syncs. */
  #isThere = false;
  #handle: FileHandle | undefined;
  /** Whether the log's own name is on disk. */
  #isNamed = false;
  /** Whether a sync has failed. A later one may succeed without the content of the first. */
  #isDoubtful = false;

  /** @param path of the database */
  constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = `${path}-wal`;
  }

  /** Prepares the log for changes of this connection. Call it before each of them, outside a transaction. */
  begin(): void {
    if (this.#hasBegun) return;
    const { journal_mode: mode } = this.#db.prepare("PRAGMA journal_mode").get() as { journal_mode: string };
    this.#isThere = mode === "wal";
    if (this.#isThere) {
      // An empty log has nothing that its own header could damage, so the header needs no sync.
      if (isEmpty(this.#path)) this.#writeHeader();
      this.#db.exec("PRAGMA synchronous = NORMAL");
    }
    this.#hasBegun = true;
  }

  #writeHeader(): void {
    this.#db.exec("PRAGMA synchronous = OFF");
    try {
      this.#db.exec("PRAGMA user_version = 0");
    } finally {
      this.#db.exec("PRAGMA synchronous = FULL");
    }
  }

  /**
   * Resolves when all changes so far are on disk. After an error they may be there or not, and count nevertheless. The next sync brings
   * them to the disk.
   */
  async sync(): Promise<void> {
    if (!this.#isThere) return;
    try {
      if (this.#isDoubtful) this.#fold();
      this.#handle ??= await open(this.#path, "r");
      const { datasync } = this.#handle;
      await Promise.all([
        inTurn(LOG_SYNCS, datasync.bind(this.#handle)),
        this.#isNamed || syncFolder(LOG_SYNCS, dirname(this.#path)),
      ]);
      this.#isNamed = true;
      this.#isDoubtful = false;
    } catch (error) {
      this.#isDoubtful = true;
      throw error;
    }
  }

  /** Writes the changes of the log into the database, which SQLite syncs. */
  #fold(): void {
    const { busy } = this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { busy: number };
    if (busy !== 0) throw new Error("The database is in use by another process");
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }
}

function isEmpty(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
}
