import type { SQLInputValue } from "node:sqlite";
import { DatabaseSync } from "../base/sqlite.ts";

type Entry = [Uint8Array, Uint8Array];

/**
 * The values with which RivetKit makes an actor, by the path of its database, until that database is opened.
 *
 * For RivetKit 2.2's file system driver. It opens each new database itself, beside ours, and syncs its first values in three
 * steps, which hold the event loop.
 */
export class FirstValues {
  readonly #values = new Map<string, readonly Entry[]>();

  /** Makes a driver, which takes its class of databases from Node while it is made. Older data it moves with Node's own. */
  within<Driver>(make: () => Driver): Driver {
    const sqlite: { DatabaseSync: unknown } = process.getBuiltinModule("node:sqlite");
    let isMade = false;
    const collect = (path: string, entries: readonly Entry[]) => this.#values.set(path, entries);
    sqlite.DatabaseSync = function Database(path: string) {
      return isMade ? new Collector((entries) => collect(path, entries)) : new DatabaseSync(path);
    };
    try {
      return make();
    } finally {
      isMade = true;
      sqlite.DatabaseSync = DatabaseSync;
    }
  }

  of(path: string): readonly Entry[] | undefined {
    return this.#values.get(path);
  }

  forget(path: string): void {
    this.#values.delete(path);
  }
}

/** Key of the first of these values. */
const FIRST_KEY = new Uint8Array([1]);

/**
 * Returns whether the creation of an actor had ended. An actor without its first values cannot start.
 *
 * @param path of its database
 */
export function hasFirstValues(path: string): boolean {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return db.prepare("SELECT 1 FROM kv WHERE key = ?").get(FIRST_KEY) !== undefined;
  } finally {
    db.close();
  }
}

/** Stands for the database that RivetKit opens, and takes only a transaction of new values. */
class Collector {
  readonly #onCommit: (entries: readonly Entry[]) => void;
  #entries: Entry[] = [];

  constructor(onCommit: (entries: readonly Entry[]) => void) {
    this.#onCommit = onCommit;
  }

  exec(sql: string): void {
    if (sql === "COMMIT") this.#onCommit(this.#entries);
    if (sql === "COMMIT" || sql === "ROLLBACK") this.#entries = [];
  }

  prepare(sql: string): { run(...values: SQLInputValue[]): void } {
    if (!sql.startsWith("INSERT OR REPLACE INTO kv "))
      throw new Error(`RivetKit asks its own storage: ${sql}`);
    return {
      run: (key, value) => void this.#entries.push([key as Uint8Array, value as Uint8Array]),
    };
  }

  close(): void {
    this.#entries = [];
  }
}
