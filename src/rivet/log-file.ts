import { close, closeSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { DatabaseSync } from "../base/sqlite.ts";
import { diskSyncs, inTurn, syncFolder } from "./disk-turns.ts";
import { WAIT_FOR_LOCKS } from "./kv-schema.ts";

const closeFile = promisify(close);

/** Times that the content of the log is folded into the database after a failed sync. SQLite's first sync reports the same failure again. */
const FOLDS = 3;

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
  readonly #databasePath: string;
  /** Descriptor of the database, for its sync. */
  #databaseFd: number | undefined;
  #hasBegun = false;
  /** Descriptor; `undefined` before the first change, and for a database without a log, which SQLite itself syncs. */
  #fd: number | undefined;
  #failure: { error: unknown } | undefined;

  /** @param path of the database */
  constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = `${path}-wal`;
    this.#databasePath = path;
  }

  /** Whether a sync has failed for good. The log must then not be folded into the database any more. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Whether the log has nothing to fold. A server that was killed, or `leave`, may have left a log. */
  get isEmpty(): boolean {
    return isEmpty(this.#path);
  }

  /**
   * Throws after a sync that has failed for good. The changes since the last sync may be on disk or not, and Linux may have lost them in
   * memory too. The next server that opens the database finds out by the checksums of the log.
   */
  assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Prepares the log for changes of this connection. Call it before each of them, outside a transaction. */
  async begin(): Promise<void> {
    this.assertSound();
    if (this.#hasBegun) return;
    const { journal_mode: mode } = this.#db.prepare("PRAGMA journal_mode").get() as { journal_mode: string };
    if (mode === "wal") {
      // An empty log has nothing that its own header could damage, so the header needs no sync.
      if (isEmpty(this.#path)) this.#writeHeader();
      // A full table of descriptors fails the call before the change, and not after it.
      this.#fd ??= openSync(this.#path, "r");
      await syncFolder(dirname(this.#path));
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

  /** Resolves when all changes so far are on disk. */
  async sync(): Promise<void> {
    const fd = this.#fd;
    if (fd === undefined) return;
    try {
      await inTurn(() => diskSyncs.data(fd));
    } catch (error) {
      if (!this.#fold()) this.#fail(error);
    }
  }

  /**
   * Writes the changes of the log into the database, which SQLite syncs. Linux may report the next sync of the log as done without the
   * pages that it has lost, so the log alone cannot be trusted. Right after the failure the pages are still in memory.
   *
   * @returns whether all changes are on disk
   */
  #fold(): boolean {
    this.#db.exec("PRAGMA busy_timeout = 0");
    try {
      for (let attempt = 0; attempt < FOLDS; attempt++) if (this.#foldOnce()) return true;
      return false;
    } finally {
      this.#db.exec(WAIT_FOR_LOCKS);
    }
  }

  #foldOnce(): boolean {
    try {
      const { busy } = this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { busy: number };
      return busy === 0;
    } catch {
      // The disk fails here too.
      return false;
    }
  }

  /**
   * Folds the log into the database, with both syncs in a thread of Node's pool. SQLite then only deletes the log when it closes the database,
   * and would else sync both in the thread of the event loop. No change may begin meanwhile: it would write over a log whose content is not
   * on disk elsewhere. If SQLite cannot fold now, it folds what is left when it closes the database. Call it in a turn of large values.
   */
  async fold(): Promise<void> {
    if (this.isEmpty) return;
    // Before the folding: a full table of descriptors must not leave a folded database without its sync. The descriptor of the database stays
    // open until SQLite has closed the database: closing it would end SQLite's own locks on the file.
    this.#fd ??= openSync(this.#path, "r");
    this.#databaseFd ??= openSync(this.#databasePath, "r");
    const fd = this.#databaseFd;
    await this.sync();
    if (!this.#foldUnsynced()) return;
    try {
      await inTurn(() => diskSyncs.data(fd));
    } catch (error) {
      // The log alone has all changes now. SQLite takes it for folded: the next change would write over it, and a close delete it.
      this.#fail(error);
    }
  }

  /** Closes the database too: a process that ends would have SQLite fold and delete the log. @throws the error */
  #fail(error: unknown): never {
    this.#failure = { error };
    try {
      this.leave();
    } catch {
      // For example a full table of descriptors. `KvDatabase` does not close the database either.
    }
    throw error;
  }

  /**
   * Closes the database without a sync, and leaves the log for the next connection. SQLite folds and deletes a log only with the last
   * connection, and only if that connection may write. So a connection that may not is the last here.
   */
  leave(): void {
    const last = new DatabaseSync(this.#databasePath, { readOnly: true });
    try {
      // A connection that has read nothing does not count.
      last.prepare("PRAGMA schema_version").get();
      this.#db.close();
    } finally {
      last.close();
    }
  }

  /** Writes the log, which is on disk, into the database. @returns whether the database needs a sync */
  #foldUnsynced(): boolean {
    this.#db.exec("PRAGMA synchronous = OFF");
    try {
      this.#db.prepare("PRAGMA wal_checkpoint(PASSIVE)").get();
      return true;
    } catch {
      // For example a full disk. SQLite then counts no page as folded.
      return false;
    } finally {
      this.#db.exec("PRAGMA synchronous = NORMAL");
    }
  }

  /** Closes the files. No change and no sync may be under way, and SQLite has closed the database, unless its log has failed. */
  async close(): Promise<void> {
    const [log, database] = [this.#fd, this.#databaseFd];
    this.#fd = undefined;
    this.#databaseFd = undefined;
    // At once: a close after the next opening of the database would end SQLite's locks.
    if (database !== undefined) closeSync(database);
    // The kernel frees a deleted log with its last descriptor, which may wait for the disk.
    if (log !== undefined) await closeFile(log);
  }
}

function isEmpty(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
}
