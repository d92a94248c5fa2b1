import type { StatementSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { pause } from "../base/pace.ts";
import type { DatabaseSync } from "../base/sqlite.ts";

/** Mode of a database whose free pages can be given back in pieces. */
const INCREMENTAL = 2;

/** A database below this size is rewritten at once, and a larger one in a worker. */
const SMALL_PAGES = 64;

/** Free pages are given back above this number, if they are at least a quarter of the file. */
const FREE_PAGES = 1_024;

/** Pages that are given back in one step, which holds the event loop. */
const STEP_PAGES = 64;

const CONVERT = "PRAGMA auto_vacuum = INCREMENTAL; VACUUM";

type Pragma = "auto_vacuum" | "freelist_count" | "page_count";

/** Gives the free pages of a database back to the file system. Part of agent-vm's own storage of actors. */
export class FreeRoom {
  readonly #db: DatabaseSync;
  readonly #pragmas = new Map<Pragma, StatementSync>();
  #isReclaiming = false;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** Whether free pages are being given back, which changes the database. Begins only at the end of another change. */
  get isReclaiming(): boolean {
    return this.#isReclaiming;
  }

  /** Gives free pages back, a few at a time. Never rejects: the next call tries again. */
  async reclaim(): Promise<void> {
    if (this.#isReclaiming) return;
    this.#isReclaiming = true;
    try {
      while (this.#db.isOpen && this.#freePages() > 0) {
        this.#db.exec(`PRAGMA incremental_vacuum(${STEP_PAGES})`);
        // Other work of the server goes first.
        await new Promise((resolve) => setImmediate(resolve));
        await pause();
      }
    } catch {
      // A full disk or a lock.
    } finally {
      this.#isReclaiming = false;
    }
  }

  /**
   * Rewrites a database that an earlier version has made, so that it can give room back. A failure leaves it as it is, and it works all
   * the same.
   */
  async convert(path: string): Promise<void> {
    if (this.#pragma("auto_vacuum") === INCREMENTAL) return;
    if (this.#pragma("page_count") <= SMALL_PAGES) {
      try {
        this.#db.exec(CONVERT);
      } catch {
        // For example a full disk.
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
      worker.once("error", () => resolve());
      worker.once("exit", () => resolve());
    });
  }

  /** Number of free pages, or 0 if they are too few to give back. */
  #freePages(): number {
    const free = this.#pragma("freelist_count");
    return free > FREE_PAGES && free * 4 > this.#pragma("page_count") ? free : 0;
  }

  #pragma(name: Pragma): number {
    let statement = this.#pragmas.get(name);
    if (statement === undefined) {
      statement = this.#db.prepare(`PRAGMA ${name}`);
      this.#pragmas.set(name, statement);
    }
    return Number(Object.values(statement.get() ?? {})[0]);
  }
}
