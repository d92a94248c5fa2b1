import { open } from "node:fs/promises";
import { Semaphore } from "../base/semaphore.ts";

/**
 * Work with the disk that may take one of Node's four threads for long. One thread is left for all other work with files. Part of
 * agent-vm's own storage of actors.
 */
const threads = new Semaphore(3);

/** Places of a kind of such work. */
export type DiskTurns = Semaphore;

/** Syncs of large values. Logs, which are small, always have a thread beside them. */
export const VALUE_SYNCS: DiskTurns = new Semaphore(2);

/** Deletions of files with large values. */
export const DELETIONS: DiskTurns = new Semaphore(1);

/** Runs work when there is a thread for it. @param turns of its kind. @default only the threads limit it */
export async function inTurn<Result>(
  work: () => Promise<Result>,
  turns: DiskTurns | undefined = undefined,
): Promise<Result> {
  await turns?.acquire();
  try {
    await threads.acquire();
    try {
      return await work();
    } finally {
      threads.release();
    }
  } finally {
    turns?.release();
  }
}

/** Brings the names of a folder's files to the disk. */
export async function syncFolder(folder: string, turns?: DiskTurns): Promise<void> {
  await inTurn(async () => {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }, turns);
}
