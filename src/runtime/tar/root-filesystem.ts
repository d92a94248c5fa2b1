import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { AgentVmError } from "../../api/errors.ts";
import { loadOnce } from "../../base/load-once.ts";
import type { FileSystem } from "../sandbox/files.ts";
import type { ArchiveEntry } from "./entry.ts";
import { gunzipped } from "./gzip.ts";
import { Import } from "./import.ts";
import { MAX_ROOT_ARCHIVE_BYTES } from "./limits.ts";
import { readTar } from "./read.ts";
import { type RootSnapshot, snapshotEntries } from "./snapshot.ts";

const PIECE_BYTES = 1024 * 1024;

/** First files of every new VM of an actor definition, unpacked over the base tree. */
export class RootFilesystem {
  readonly #source: string | RootSnapshot;
  /** After a failure the next boot tries again: the file may appear later. */
  readonly #archive = loadOnce(() => readArchive(String(this.#source)));

  /** @param source a snapshot, or the path of a tar archive on the host. The first VM's boot reads the archive once. */
  constructor(source: string | RootSnapshot) {
    this.#source = source;
  }

  /**
   * Unpacks the files into a new VM.
   *
   * @throws AgentVmError `boot_failed`; the tree is unchanged then
   */
  async unpack(fs: FileSystem): Promise<void> {
    const unpacking = new Import(fs, "/");
    try {
      await unpacking.stage(await this.#entries());
      await unpacking.commit((work) => work());
    } catch (error) {
      if (error instanceof AgentVmError && error.code === "vm_stopped") throw error;
      const detail = error instanceof Error ? error.message : String(error);
      throw new AgentVmError(
        "boot_failed",
        `The VM's \`rootFilesystem\` could not be unpacked: ${detail}`,
        { hint: "Check the option `rootFilesystem` of vmActor()." },
        { cause: error },
      );
    } finally {
      await unpacking.close();
    }
  }

  async #entries(): Promise<AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>> {
    if (typeof this.#source !== "string") return snapshotEntries(this.#source);
    return readTar(gunzipped(inPieces(await this.#archive())));
  }
}

async function readArchive(path: string): Promise<Uint8Array> {
  // O_NONBLOCK: opening a FIFO must not block the server.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error(`${path} is not a file`);
    if (stats.size > MAX_ROOT_ARCHIVE_BYTES)
      throw new Error(
        `${path} has ${stats.size} bytes, above MAX_ROOT_ARCHIVE_BYTES = ${MAX_ROOT_ARCHIVE_BYTES}`,
      );
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES)
    yield bytes.subarray(offset, offset + PIECE_BYTES);
}
