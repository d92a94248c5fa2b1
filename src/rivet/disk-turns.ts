import { closeSync, fdatasync, fsync, openSync } from "node:fs";
import { promisify } from "node:util";
import { Semaphore } from "../base/semaphore.ts";

/**
 * Work with the disk that may take one of Node's four threads for long. One thread is left for all other work with files. Part of
 * agent-vm's own storage of actors.
 */
const threads = new Semaphore(3);

/** Places of a kind of such work. */
export type DiskTurns = Semaphore;

/** Syncs of large values and of whole databases. Logs, which are small, have a thread beside them. */
export const VALUE_SYNCS: DiskTurns = new Semaphore(2);

/** Deletions of files with large values. */
export const DELETIONS: DiskTurns = new Semaphore(1);

/** Syncs of an open file in a thread of Node's pool. A `FileHandle` would take further turns of these threads to open and to close. */
export const diskSyncs = {
  /** Brings the content of a file to the disk. */
  data: promisify(fdatasync),
  /** Brings the content of a file or a folder, and all about it, to the disk. */
  all: promisify(fsync),
};

/** Runs work when there is a thread for it. @param turns of its kind. @default only the threads limit it */
export function inTurn<Result>(work: () => Promise<Result>, turns?: DiskTurns): Promise<Result> {
  const run = () => threads.run(work);
  return turns === undefined ? run() : turns.run(run);
}

/** Syncs of folders that have not begun, by their turns: a log must not wait for the turn of a value. */
const waiting = new Map<DiskTurns | undefined, Map<string, Promise<void>>>();

/** Brings the names of a folder's files to the disk. Callers that wait for a thread in the same turns share one sync. */
export function syncFolder(folder: string, turns?: DiskTurns): Promise<void> {
  const syncs = waiting.get(turns) ?? new Map<string, Promise<void>>();
  waiting.set(turns, syncs);
  const shared = syncs.get(folder);
  if (shared !== undefined) return shared;
  const sync = inTurn(async () => {
    // The name of a later caller may come after this sync.
    syncs.delete(folder);
    const fd = openSync(folder, "r");
    try {
      await diskSyncs.all(fd);
    } finally {
      closeSync(fd);
    }
  }, turns);
  syncs.set(folder, sync);
  return sync;
}
