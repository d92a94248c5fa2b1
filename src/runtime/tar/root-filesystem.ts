import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { AgentVmError } from "../../api/errors.ts";
import { MAX_ROOT_ARCHIVE_BYTES } from "../../api/limits.ts";
import type { FileSystem } from "../sandbox/files.ts";
import type { ArchiveEntry } from "./entry.ts";
import { gunzipped } from "./gzip.ts";
import { Import } from "./import.ts";
import { readTar } from "./read.ts";
import { type RootSnapshot, snapshotEntries } from "./snapshot.ts";

const PIECE_BYTES = 1024 * 1024;

/** What every new VM of an actor definition starts from, laid over the tree that it has anyway. */
export class RootFilesystem {
  readonly #source: string | RootSnapshot;
  #archive: Promise<Uint8Array> | undefined;

  /** @param source a snapshot, or the path of a tar archive on the host, which is read once, for the first VM */
  constructor(source: string | RootSnapshot) {
    this.#source = source;
  }

  /** @throws AgentVmError `boot_failed`; the tree is as it was then */
  async plant(fs: FileSystem): Promise<void> {
    const planting = new Import(fs, "/");
    try {
      await planting.stage(await this.#entries());
      await planting.commit((work) => work());
    } catch (error) {
      if (error instanceof AgentVmError && error.code === "vm_stopped") throw error;
      const detail = error instanceof Error ? error.message : String(error);
      throw new AgentVmError(
        "boot_failed",
        `The VM's \`rootFilesystem\` could not be put in place: ${detail}`,
        { hint: "Look at the option `rootFilesystem` of vmActor()." },
        { cause: error },
      );
    } finally {
      await planting.close();
    }
  }

  async #entries(): Promise<AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>> {
    if (typeof this.#source !== "string") return snapshotEntries(this.#source);
    const path = this.#source;
    this.#archive ??= readArchive(path).catch((error: unknown) => {
      // One that comes to be there later is read then.
      this.#archive = undefined;
      throw error;
    });
    return readTar(gunzipped(inPieces(await this.#archive)));
  }
}

async function readArchive(path: string): Promise<Uint8Array> {
  // A FIFO must not keep the server waiting.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error(`${path} is not a file`);
    if (stats.size > MAX_ROOT_ARCHIVE_BYTES)
      throw new Error(`${path} has ${stats.size} bytes, above ${MAX_ROOT_ARCHIVE_BYTES}`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES)
    yield bytes.subarray(offset, offset + PIECE_BYTES);
}
