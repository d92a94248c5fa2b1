import { invalidArgument, limitExceeded } from "../../api/errors.ts";
import { MAX_ARCHIVE_READS, TRANSFER_CHUNK_BYTES } from "../../api/limits.ts";
import type { ArchiveImport, TarReadTransfer } from "../../api/types.ts";
import { checkPath } from "../filesystem/paths.ts";
import type { TransferTable } from "../filesystem/transfer-table.ts";
import { type Excludes, excludes } from "../persistence/scan.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { type OpenPacking, TarDownload } from "./download.ts";
import { type ChangeTree, Import } from "./import.ts";
import { packTree } from "./pack.ts";
import { TarUpload } from "./upload.ts";

export interface TarTransfersOptions {
  table: TransferTable;
  /** What a checkpoint leaves out. */
  isExcluded: Excludes;
  change: ChangeTree;
  /** Bytes of one piece. @default TRANSFER_CHUNK_BYTES */
  chunkBytes?: number;
}

/** Tar archives that cross the wire in pieces. */
export class TarTransfers {
  readonly #fs: FileSystem;
  readonly #table: TransferTable;
  readonly #isExcluded: Excludes;
  readonly #change: ChangeTree;
  readonly #chunkBytes: number;
  /** Archives on their way out: each holds a list of the tree. */
  #packings = 0;

  constructor(fs: FileSystem, { table, isExcluded, change, chunkBytes }: TarTransfersOptions) {
    this.#fs = fs;
    this.#table = table;
    this.#isExcluded = isExcluded;
    this.#change = change;
    this.#chunkBytes = chunkBytes ?? TRANSFER_CHUNK_BYTES;
  }

  /** Everything at and below a path that is the VM's own; no path: what a checkpoint keeps. */
  async pack(path?: string): Promise<OpenPacking> {
    if (path !== undefined) checkPath(path, "open");
    if (this.#packings >= MAX_ARCHIVE_READS)
      throw limitExceeded("MAX_ARCHIVE_READS", MAX_ARCHIVE_READS, "The VM packs as many archives as it can");
    this.#packings++;
    let isOpen = true;
    const release = () => {
      if (isOpen) this.#packings--;
      isOpen = false;
    };
    try {
      const isExcluded = path === undefined ? this.#isExcluded : excludes();
      const packing = await packTree(this.#fs, path ?? "/", isExcluded);
      const close = async () => {
        release();
        await packing.pieces.return(undefined);
      };
      return { ...packing, close };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** An archive whose entries are given by what follows. */
  import(path: string): Import {
    return new Import(this.#fs, path);
  }

  beginTarRead(path?: string): Promise<TarReadTransfer> {
    return this.#table.begin(
      async () => {
        const packing = await this.pack(path);
        return Object.assign(new TarDownload(packing, this.#chunkBytes), { estimate: packing.estimate });
      },
      async (download) => ({ transferId: this.#table.keep(download), estimate: download.estimate }),
    );
  }

  readTarChunk(transferId: string, offset: number): Promise<Uint8Array> {
    return this.#table.use(transferId, TarDownload, (download) => download.read(offset));
  }

  beginTarWrite(path: string): Promise<{ transferId: string }> {
    return this.#table.begin(
      async () => new TarUpload(this.import(path)),
      async (upload) => ({ transferId: this.#table.keep(upload) }),
    );
  }

  writeTarChunk(transferId: string, offset: number, data: Uint8Array): Promise<void> {
    if (data.length > this.#chunkBytes)
      return Promise.reject(invalidArgument("data", `at most ${this.#chunkBytes} bytes`, data));
    return this.#table.use(transferId, TarUpload, (upload) => upload.write(offset, data));
  }

  /** Ends the transfer, whatever comes of it. */
  commitTarWrite(transferId: string): Promise<ArchiveImport> {
    return this.#table.use(transferId, TarUpload, (upload) =>
      upload.commit(this.#change).finally(() => this.#table.end(transferId)),
    );
  }

  /** A whole archive at once. */
  async importTar(data: Uint8Array, path: string): Promise<ArchiveImport> {
    const { transferId } = await this.beginTarWrite(path);
    try {
      for (let offset = 0; offset < data.length; offset += this.#chunkBytes)
        await this.writeTarChunk(transferId, offset, data.subarray(offset, offset + this.#chunkBytes));
      return await this.commitTarWrite(transferId);
    } finally {
      await this.#table.end(transferId);
    }
  }
}
