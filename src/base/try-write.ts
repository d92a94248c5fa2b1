import { open, rm } from "node:fs/promises";
import { join } from "node:path";

/** Bytes of a trial write: one block, which a full disk refuses. */
const TRIAL_BYTES = 4096;

/** Writes a block into a folder and syncs it. @throws Error if the disk does not take it */
export async function tryWrite(folder: string): Promise<void> {
  const path = join(folder, ".ready");
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(Buffer.alloc(TRIAL_BYTES, 1));
    await file.sync();
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}
