import type * as Sqlite from "node:sqlite";

/** Node's SQLite. An import of `node:sqlite` would fail on an older Node before the server could say why. */
export const { DatabaseSync } = process.getBuiltinModule("node:sqlite") as typeof Sqlite;

/** A database of Node's SQLite. */
export type DatabaseSync = Sqlite.DatabaseSync;
