import { invalidArgument, limitExceeded } from "../../api/errors.ts";
import { TRANSFER_CHUNK_BYTES } from "../../api/limits.ts";
import type { ArchiveImport } from "../../api/methods/snapshot-types.ts";
import type { TarReadTransfer } from "../../api/methods/transport.ts";
import { checkPath } from "../filesystem/paths.ts";
import { type Excludes, excludes } from "../filesystem/scan.ts";
import type { FileSystem } from "../sandbox/files.ts";
import type { TransferTable } from "../transfers/transfer-table.ts";
import { TarDownload } from "./download.ts";
import { type ChangeTree, Import } from "./import.ts";
import { MAX_ARCHIVE_READS } from "./limits.ts";
import { type Packing, packTree } from "./pack.ts";
import { TarUpload } from "./upload.ts";

interface TarTransfersDeps {
  table: TransferTable;
  /** Paths that a checkpoint leaves out. */
  isExcluded: Excludes;
  change: ChangeTree;
}

/** Transfers tar archives over the wire in pieces. */
export class TarTransfers {
  readonly #fs: FileSystem;
  readonly #deps: TarTransfersDeps;
  /** Number of archives that are being packed. Each holds a list of its entries. */
  #packings = 0;

  constructor(fs: FileSystem, deps: TarTransfersDeps) {
    this.#fs = fs;
    this.#deps = deps;
  }

  /** Packs the VM's own files at and below a path. Without a path, packs all files that a checkpoint keeps. */
  async pack(path?: string): Promise<Packing> {
    if (path !== undefined) checkPath(path, "open");
    if (this.#packings >= MAX_ARCHIVE_READS)
      throw limitExceeded(
        { MAX_ARCHIVE_READS },
        "Archive limit reached",
        "Wait for a running export to end.",
      );
    this.#packings++;
    let isOpen = true;
    const release = () => {
      if (isOpen) this.#packings--;
      isOpen = false;
    };
    try {
      const isExcluded = path === undefined ? this.#deps.isExcluded : excludes();
      const packing = await packTree(this.#fs, path ?? "/", isExcluded);
      const close = async () => {
        release();
        await packing.pieces.return(undefined);
        await packing.close();
      };
      return { ...packing, close };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Starts an import into a directory. */
  import(path: string): Import {
    return new Import(this.#fs, path);
  }

  beginTarRead(path?: string): Promise<TarReadTransfer> {
    return this.#deps.table.begin(
      async () => {
        const packing = await this.pack(path);
        return Object.assign(new TarDownload(packing, TRANSFER_CHUNK_BYTES), { estimate: packing.estimate });
      },
      async (download, keep) => ({ transferId: keep(download), estimate: download.estimate }),
    );
  }

  readTarChunk(transferId: string, offset: number): Promise<Uint8Array> {
    return this.#deps.table.use(transferId, TarDownload, (download) => download.read(offset));
  }

  beginTarWrite(path: string): Promise<{ transferId: string }> {
    return this.#deps.table.begin(
      async () => new TarUpload(this.import(path)),
      async (upload, keep) => ({ transferId: keep(upload) }),
    );
  }

  writeTarChunk(transferId: string, offset: number, data: Uint8Array): Promise<void> {
    if (data.length > TRANSFER_CHUNK_BYTES)
      return Promise.reject(invalidArgument("data", `at most ${TRANSFER_CHUNK_BYTES} bytes`, data));
    return this.#deps.table.use(transferId, TarUpload, (upload) => upload.write(offset, data));
  }

  /** Puts the archive in place. The transfer ends even if the commit fails. */
  commitTarWrite(transferId: string): Promise<ArchiveImport> {
    return this.#deps.table.use(transferId, TarUpload, (upload) =>
      upload.commit(this.#deps.change).finally(() => this.#deps.table.end(transferId)),
    );
  }

  /** Imports a complete archive. */
  async importTar(data: Uint8Array, path: string): Promise<ArchiveImport> {
    const { transferId } = await this.beginTarWrite(path);
    try {
      for (let offset = 0; offset < data.length; offset += TRANSFER_CHUNK_BYTES)
        await this.writeTarChunk(transferId, offset, data.subarray(offset, offset + TRANSFER_CHUNK_BYTES));
      return await this.commitTarWrite(transferId);
    } finally {
      await this.#deps.table.end(transferId);
    }
  }
}
