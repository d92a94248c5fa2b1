import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { ValuePlace } from "./value-files.ts";

/** Rows that one step of a long deletion deletes, which holds the event loop. */
const STEP_ROWS = 32;

/** A value that is in a file has no bytes in its row. */
const NO_BYTES = new Uint8Array();

/** A key and its value. */
export type KvEntry = [Uint8Array, Uint8Array];

/** A row: a key with its value, or with the place of its value in a file. */
export type Row = { key: Uint8Array; value: Uint8Array } & { [Part in keyof ValuePlace]: number | null };

/**
 * The rows of an actor's database, as statements of SQL. `KvDatabase` decides when a change takes place and when it is on disk. Part of
 * agent-vm's own storage of actors.
 */
export class KvRows {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** @returns files of the values that were replaced */
  put(
    entries: readonly KvEntry[],
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

  get(keys: readonly Uint8Array[]): (Row | undefined)[] {
    const get = this.#statement("SELECT * FROM kv WHERE key = ?");
    return keys.map((key) => get.get(key) as Row | undefined);
  }

  /** Lists rows from a key on. @param below first key that is not listed; `undefined` lists to the last key */
  list(
    from: Uint8Array,
    below: Uint8Array | undefined,
    { reverse, limit }: { reverse: boolean; limit: number },
  ): Row[] {
    const order = reverse ? "DESC" : "ASC";
    const bound = below === undefined ? "" : "AND key < ? ";
    const select = this.#statement(`SELECT * FROM kv WHERE key >= ? ${bound}ORDER BY key ${order} LIMIT ?`);
    const bounds = below === undefined ? [from] : [from, below];
    return select.all(...bounds, limit) as unknown as Row[];
  }

  /** @returns files of the values that were deleted */
  delete(keys: readonly Uint8Array[]): ReadonlySet<number> {
    const remove = this.#statement("DELETE FROM kv WHERE key = ? RETURNING file");
    const rows = keys.flatMap((key) => remove.all(key) as unknown as Pick<Row, "file">[]);
    return new Set(rows.flatMap(({ file }) => file ?? []));
  }

  /** @returns files of the values that were deleted */
  deleteRange(start: Uint8Array, end: Uint8Array): number[] {
    const find = "SELECT DISTINCT file FROM kv WHERE key >= ? AND key < ? AND file IS NOT NULL";
    const freed = this.#statement(find).all(start, end) as unknown as { file: number }[];
    this.#statement("DELETE FROM kv WHERE key >= ? AND key < ?").run(start, end);
    return freed.map(({ file }) => file);
  }

  /** Returns whether a range has no row, and the key before which one step deletes, unless one step deletes the whole range. */
  stepOf(start: Uint8Array, end: Uint8Array): { isEmpty: boolean; before: Uint8Array | undefined } {
    const find = this.#statement(
      `SELECT key FROM kv WHERE key >= ? AND key < ? ORDER BY key LIMIT ${STEP_ROWS + 1}`,
    );
    const rows = find.all(start, end) as unknown as Pick<Row, "key">[];
    return { isEmpty: rows.length === 0, before: rows[STEP_ROWS]?.key };
  }

  /** Deletes the rows whose values are in a file. @returns their keys */
  deleteOfFile(file: number): Uint8Array[] {
    const rows = this.#statement("DELETE FROM kv WHERE file = ? RETURNING key").all(file);
    return (rows as unknown as Pick<Row, "key">[]).map(({ key }) => key);
  }

  /** Returns the files that rows name. */
  files(): ReadonlySet<number> {
    const rows = this.#statement("SELECT DISTINCT file FROM kv WHERE file IS NOT NULL").all();
    return new Set(rows.map(({ file }) => Number(file)));
  }

  /** Returns the files that no row names. */
  unnamed(files: Iterable<number>): number[] {
    const find = "SELECT 1 FROM kv WHERE file = ?";
    return [...files].filter((file) => this.#statement(find).get(file) === undefined);
  }

  /** Runs work in one transaction. */
  atomically<Result>(work: () => Result): Result {
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

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** Whether the value of a row is in a file. */
export function isPlaced(row: Row | undefined): row is Row & ValuePlace {
  return typeof row?.file === "number";
}
