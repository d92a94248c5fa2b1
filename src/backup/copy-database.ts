import { type BigIntStats, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";

/**
 * Age of a file's last change above which a further change shows in its times: the kernel's clock ticks every 10 ms.
 * @unit ms
 */
const SETTLED_MS = 100;

/** Attempts to read a file that nobody has open. After them it counts as open. */
const ATTEMPTS = 5;

/**
 * Copies a SQLite database that a server may have open, as it is at one moment. Deleted content is not copied.
 *
 * The copy writes nothing into the server's files and takes no lock that the server waits for. A database without a
 * write-ahead log is not open: SQLite reads it as it is, and the file's times tell whether that held to the end. With a
 * log the copy is one read transaction. A connection that may write could overwrite the log of a VM that was destroyed
 * and made again meanwhile, so the connection is read-only.
 *
 * @returns the state of the file, if nobody changed it meanwhile
 * @throws Error if the database is missing or damaged
 */
export async function copyDatabase(source: string, target: string): Promise<string | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const stamp = await settledStamp(source);
    if (stamp === undefined) break;
    let failure: unknown;
    try {
      vacuumInto(source, target, "immutable=1");
    } catch (error) {
      failure = error;
    }
    const isUnchanged = closedStamp(source) === stamp;
    if (isUnchanged && failure === undefined) return stamp;
    rmSync(target, { force: true });
    if (isUnchanged) throw failure;
  }
  vacuumInto(source, target, "mode=ro");
  return undefined;
}

/**
 * The state of a database that nobody has open, as text that changes with the file.
 *
 * @returns `undefined` if a server may have it open
 */
export async function settledStamp(path: string): Promise<string | undefined> {
  const stamp = closedStamp(path);
  if (stamp === undefined) return undefined;
  const age = Date.now() - Number(statSync(path).mtimeMs);
  if (age >= 0 && age < SETTLED_MS) await delay(SETTLED_MS);
  return closedStamp(path) === stamp ? stamp : undefined;
}

function closedStamp(path: string): string | undefined {
  const found = stat(path);
  const isOpen = ["-wal", "-journal"].some((suffix) => (stat(path + suffix)?.size ?? 0n) > 0n);
  if (found === undefined || isOpen) return undefined;
  return [found.ino, found.size, found.mtimeNs, found.ctimeNs].join(":");
}

function stat(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false });
}

function vacuumInto(source: string, target: string, mode: string): void {
  const url = pathToFileURL(source);
  url.search = mode;
  const db = new DatabaseSync(url, { readOnly: true });
  try {
    db.prepare("VACUUM INTO ?").run(target);
  } finally {
    db.close();
  }
}
