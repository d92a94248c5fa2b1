import type { StatementSync } from "node:sqlite";
import { AgentVmError } from "../../api/errors.ts";
import type { DatabaseSync } from "../../base/sqlite.ts";
import { storageFailed } from "./coded-store.ts";

/** A statement whose failures are AgentVmErrors. */
export type CodedStatement = Pick<StatementSync, "run" | "get" | "all">;

interface CodedDatabaseOptions {
  /** The database in messages: `The index of VMs`. */
  name: string;
  /** Remedy for a damaged file, for an operator. */
  remedy: string;
  /** Called once, with the first failure of a damaged file. */
  onDamage(error: AgentVmError): void;
}

/** Wraps a database so that each of its failures is an AgentVmError `storage_failed`. */
export class CodedDatabase {
  readonly #db: DatabaseSync;
  readonly #options: CodedDatabaseOptions;
  #isDamaged = false;

  constructor(open: () => DatabaseSync, options: CodedDatabaseOptions) {
    this.#options = options;
    this.#db = this.#coded(open);
  }

  exec(sql: string): void {
    this.#coded(() => this.#db.exec(sql));
  }

  prepare(sql: string): CodedStatement {
    const statement = this.#coded(() => this.#db.prepare(sql));
    const coded = (name: keyof CodedStatement) =>
      ((...args: unknown[]) => this.#coded(() => Reflect.apply(statement[name], statement, args))) as never;
    return { run: coded("run"), get: coded("get"), all: coded("all") };
  }

  close(): void {
    this.#db.close();
  }

  #coded<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      if (error instanceof AgentVmError) throw error;
      const { name, remedy, onDamage } = this.#options;
      if (!isDamage(error)) throw storageFailed(`${name} could not be used`, error);
      const damage = storageFailed(`${name} is damaged. ${remedy}`, error);
      if (!this.#isDamaged) onDamage(damage);
      this.#isDamaged = true;
      throw damage;
    }
  }
}

/** Result codes of SQLite for a file that cannot be read, is damaged or is not a database. */
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** Returns whether an error of SQLite, or one with such a cause, says that a file is damaged. */
export function isDamage(error: unknown): boolean {
  const { errcode = 0, cause } = error as { errcode?: number; cause?: unknown };
  // The lowest byte of an extended code is the code.
  return [SQLITE_CORRUPT, SQLITE_NOTADB].includes(errcode & 0xff) || (cause !== undefined && isDamage(cause));
}

/** Makes an error like SQLite's of what `PRAGMA integrity_check` found: damage, or a page that could not be read. */
export function integrityError(found: string): Error {
  const read = /unable to get the page\. error code=(\d+)/.exec(found)?.[1];
  const errcode = found.includes("failed to get page") ? SQLITE_IOERR : Number(read ?? SQLITE_CORRUPT);
  return Object.assign(new Error(found), { errcode });
}
