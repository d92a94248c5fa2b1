import {
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "../base/sqlite.ts";
import { syncFolder } from "../rivet/data-format.ts";
import { WAIT_FOR_LOCKS } from "../rivet/kv-schema.ts";
import { integrityError, isDamage } from "../runtime/store/coded-database.ts";
import { storageFailed } from "../runtime/store/coded-store.ts";
import { isKeyOf } from "./key-text.ts";
import { salvage } from "./salvage.ts";

/** File of the index in a data folder. */
export const VMS_FILE = "vms.db";

const SETTINGS = `${WAIT_FOR_LOCKS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL`;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS vms (
    actor_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    key_text TEXT NOT NULL,
    key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    slept_at INTEGER NOT NULL,
    labels TEXT NOT NULL DEFAULT '{}',
    destroy_after INTEGER,
    awake INTEGER NOT NULL DEFAULT 0,
    destroying INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX IF NOT EXISTS vms_by_key ON vms (name, key_text);
`;

/** An open index. */
interface OpenIndex {
  db: DatabaseSync;
  /** Path of the damaged index that this one replaces. */
  replaced?: string;
}

/**
 * Opens the index. A damaged file is moved aside for people to look at. SQLite has folded its log into it, or the log moves too: SQLite
 * would apply it to a new file. The new index has the rows that could be read.
 *
 * @throws AgentVmError `storage_failed` if the file cannot be used now: it may be whole, and the index of a full disk or of a server
 * without free descriptors has labels and deletions that no other file has
 */
export function openIndex(path: string): OpenIndex {
  try {
    return openOrReplace(path);
  } catch (error) {
    throw storageFailed(`The index of VMs ${path} cannot be opened`, error);
  }
}

function openOrReplace(path: string): OpenIndex {
  try {
    return { db: connect(path) };
  } catch (error) {
    if (!isDamage(error)) throw error;
    for (const file of [path, `${path}-wal`]) if (existsSync(file)) assertReadable(file);
    const replaced = replace(path);
    try {
      syncFolder(dirname(path));
      return { db: connect(path), replaced };
    } catch (failed) {
      throw storageFailed(`It takes the place of a damaged index, which is now ${replaced}`, failed);
    }
  }
}

/** Reads a file to its end. SQLite calls a file damaged that the disk does not read. @throws if the disk does not read it */
function assertReadable(path: string): void {
  const part = Buffer.allocUnsafe(1024 * 1024);
  const descriptor = openSync(path, "r");
  try {
    let bytes: number;
    do bytes = readSync(descriptor, part);
    while (bytes > 0);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Moves a damaged index aside when the new one is on disk. A server that dies meanwhile leaves the damaged index or the new one.
 *
 * @returns the new path of the damaged one
 */
function replace(path: string): string {
  const draft = `${path}.new`;
  removeDraft(draft);
  try {
    makeDraft(draft, path);
  } catch (error) {
    removeDraft(draft);
    throw error;
  }
  const suffix = `.damaged-${Date.now()}`;
  rmSync(`${path}-shm`, { force: true });
  try {
    linkSync(path, path + suffix);
  } catch {
    // For example a file system without hard links.
    copyFileSync(path, path + suffix);
  }
  if (existsSync(`${path}-wal`)) renameSync(`${path}-wal`, `${path}-wal${suffix}`);
  renameSync(draft, path);
  return path + suffix;
}

/** Makes a new index of the rows of a damaged one. It has no log yet: SQLite does not say that it could not fold one into its file. */
function makeDraft(draft: string, path: string): void {
  const fresh = new DatabaseSync(draft);
  try {
    fresh.exec(SCHEMA);
    salvage(path, fresh);
  } finally {
    fresh.close();
  }
}

function removeDraft(draft: string): void {
  for (const suffix of ["", "-journal"]) rmSync(draft + suffix, { force: true });
}

function connect(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    db.exec(`${SETTINGS}; ${SCHEMA}`);
    assertWhole(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Reads each page of an index once, and compares its parts: 70 ms for 10,000 VMs. Otherwise a later question would find the damage, or
 * a VM would answer under another key. A changed time, flag or label that can be read is not found: nothing else says what it was.
 */
function assertWhole(db: DatabaseSync): void {
  const { integrity_check: found } = db.prepare("PRAGMA integrity_check(1)").get() as Record<string, string>;
  if (found !== "ok") throw integrityError(`${found}`);
  for (const row of db.prepare("SELECT actor_id, key, key_text FROM vms").iterate()) {
    const { actor_id, key, key_text } = row as Record<string, string>;
    if (!isKeyOf(key as string, key_text as string))
      throw integrityError(`the key of ${actor_id} is damaged`);
  }
}
