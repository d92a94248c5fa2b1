import type { Dirent } from "node:fs";
import { lstat, opendir } from "node:fs/promises";
import { join } from "node:path";
import { pause } from "../base/pace.ts";
import { VOLUMES_FOLDER } from "../runtime/mounts/volumes.ts";

/** Unit of a file's blocks in stat(2). */
const BLOCK_BYTES = 512;

/** Pause after a measurement, as a multiple of its time: large volumes are measured rarely. */
const REST = 20;

/** The volumes in a data folder. */
export class VolumeFiles {
  readonly #folder: string;
  #bytes = 0;
  #nextAt = 0;

  /** @param dataFolder a server's data folder */
  constructor(dataFolder: string) {
    this.#folder = join(dataFolder, VOLUMES_FOLDER);
  }

  /** Bytes that all volumes take on disk, measured now or a while ago. */
  async bytes(): Promise<number> {
    const startedAt = performance.now();
    if (startedAt < this.#nextAt) return this.#bytes;
    this.#bytes = await measure(this.#folder);
    const now = performance.now();
    this.#nextAt = now + REST * (now - startedAt);
    return this.#bytes;
  }
}

/** Bytes of a folder and everything in it. Programs of VMs may change it meanwhile. */
async function measure(top: string): Promise<number> {
  let bytes = 0;
  const folders = [Buffer.from(top)];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      // Names of a VM need not be UTF-8. Latin 1 keeps their bytes.
      const entries = (await opendir(folder, { encoding: "latin1" })) as AsyncIterable<Dirent>;
      for await (const entry of entries) {
        await pause();
        const path = Buffer.concat([folder, Buffer.from("/"), Buffer.from(entry.name, "latin1")]);
        // A file that is gone meanwhile must not hide the others.
        const found = await lstat(path).catch(() => undefined);
        bytes += (found?.blocks ?? 0) * BLOCK_BYTES;
        if (found?.isDirectory()) folders.push(path);
      }
    } catch {
      // The folder is gone, or was never there.
    }
  }
  return bytes;
}
