import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "../base/sqlite.ts";

/**
 * The table of agent-vm's own storage of actors. Its columns `key` and `value` are those of RivetKit 2.2's file system driver, which a data
 * folder of format 1 has. Further columns have the place of a value in a file.
 */
export const TABLE = "CREATE TABLE IF NOT EXISTS kv (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL)";
const PLACES =
  "ALTER TABLE kv ADD COLUMN file INTEGER; ALTER TABLE kv ADD COLUMN start INTEGER; ALTER TABLE kv ADD COLUMN size INTEGER; " +
  "CREATE INDEX kv_file ON kv (file) WHERE file IS NOT NULL";

/** Lets a statement wait for another process, such as a backup. */
export const WAIT_FOR_LOCKS = "PRAGMA busy_timeout = 5000";

/** Adds the places to the table of a data folder of format 1. */
export function addPlaces(db: InstanceType<typeof DatabaseSync>): void {
  const found = db.prepare("SELECT 1 FROM pragma_table_info('kv') WHERE name = 'file'").get();
  if (found === undefined) db.exec(`BEGIN; ${PLACES}; COMMIT`);
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
      `PRAGMA synchronous = OFF; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; ${TABLE}; ${PLACES}`,
    );
    db.close();
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
