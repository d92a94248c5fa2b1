import { open } from "node:fs/promises";
import { Semaphore } from "../base/semaphore.ts";

/** A kind of work with the disk that takes one of Node's four threads for long. */
export type DiskTurns = Semaphore;

/** Syncs of large values. */
export const VALUE_SYNCS: DiskTurns = new Semaphore(2);

/** Syncs of logs, which are small. They never wait for large values. */
export const LOG_SYNCS: DiskTurns = new Semaphore(3);

/** Deletions of files with large values. */
export const DELETIONS: DiskTurns = new Semaphore(1);

/** Runs work when it has its turn. */
export async function inTurn<Result>(turns: DiskTurns, work: () => Promise<Result>): Promise<Result> {
  await turns.acquire();
  try {
    return await work();
  } finally {
    turns.release();
  }
}

/** Brings the names of a folder's files to the disk. */
export async function syncFolder(turns: DiskTurns, folder: string): Promise<void> {
  await inTurn(turns, async () => {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
}
