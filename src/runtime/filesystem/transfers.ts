import type { FileTransferMethods } from "../../api/actions.ts";
import { invalidArgument } from "../../api/errors.ts";
import {
  MAX_TRANSFER_BYTES,
  MAX_TRANSFERS,
  TRANSFER_CHUNK_BYTES,
  TRANSFER_IDLE_MS,
} from "../../api/limits.ts";
import type { FileReadTransfer } from "../../api/types.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { Download } from "./download.ts";
import { withParents } from "./parents.ts";
import { checkPath, checkWritablePath } from "./paths.ts";
import { TransferTable } from "./transfer-table.ts";
import { Upload } from "./upload.ts";

export interface FileTransfersOptions {
  /** Where open transfers are kept. @default one of its own, with the limits below */
  table?: TransferTable;
  /** Open transfers at a time. @default MAX_TRANSFERS */
  maxTransfers?: number;
  /** Bytes of one piece. @default TRANSFER_CHUNK_BYTES */
  chunkBytes?: number;
  /** Milliseconds after which a transfer that nobody uses is given up. @default TRANSFER_IDLE_MS */
  idleMs?: number;
  /** Awaited when a file has been put in place. @default nothing */
  placed?(): Promise<void>;
}

/**
 * Files that cross the wire in pieces. A transfer is known by an unguessable id, and ends by a commit, by
 * endFileTransfer, or when nobody has used it for 60 s.
 *
 * @example
 * const { transferId } = await transfers.beginFileWrite("/workspace/data.bin", bytes.length);
 * await transfers.writeFileChunk(transferId, 0, bytes);
 * await transfers.commitFileWrite(transferId);
 */
export class FileTransfers implements FileTransferMethods {
  readonly #fs: FileSystem;
  readonly #chunkBytes: number;
  readonly #placed: () => Promise<void>;
  readonly #table: TransferTable;

  constructor(fs: FileSystem, options: FileTransfersOptions = {}) {
    this.#fs = fs;
    this.#chunkBytes = options.chunkBytes ?? TRANSFER_CHUNK_BYTES;
    this.#placed = options.placed ?? (async () => undefined);
    this.#table =
      options.table ??
      new TransferTable(options.maxTransfers ?? MAX_TRANSFERS, options.idleMs ?? TRANSFER_IDLE_MS);
  }

  async beginFileRead(path: string): Promise<FileReadTransfer> {
    checkPath(path, "open");
    return this.#table.begin(
      () => this.#fs.openReader(path),
      async (reader) => {
        const { size } = reader;
        const data = await reader.read(0, this.#chunkBytes);
        if (size > this.#chunkBytes)
          return { size, data, transferId: this.#table.keep(new Download(reader, this.#chunkBytes)) };
        await reader.close();
        return { size: data.length, data, transferId: null };
      },
    );
  }

  /** The piece from an offset; empty at the end of the file. */
  readFileChunk(transferId: string, offset: number): Promise<Uint8Array> {
    return this.#table.use(transferId, Download, (download) => download.read(offset));
  }

  async beginFileWrite(path: string, size: number): Promise<{ transferId: string }> {
    checkWritablePath(path, "open");
    if (!Number.isSafeInteger(size) || size < 0 || size > MAX_TRANSFER_BYTES)
      throw invalidArgument("size", `an integer from 0 to ${MAX_TRANSFER_BYTES}`, size);
    return this.#table.begin(
      () => withParents(this.#fs, path, () => this.#fs.openWriter(path)),
      async (writer) => ({ transferId: this.#table.keep(new Upload(writer, size)) }),
    );
  }

  writeFileChunk(transferId: string, offset: number, data: Uint8Array): Promise<void> {
    return this.#table.use(transferId, Upload, (upload) => upload.write(offset, data));
  }

  /** Puts the file in place; refused, with the transfer left open, while pieces are missing. */
  commitFileWrite(transferId: string): Promise<void> {
    return this.#table.use(transferId, Upload, async (upload) => {
      upload.assertComplete();
      await upload.commit().finally(() => this.endFileTransfer(transferId));
      await this.#placed();
    });
  }

  endFileTransfer(transferId: string): Promise<void> {
    return this.#table.end(transferId);
  }

  /** Gives every transfer up; later calls are `vm_stopped`. */
  dispose(): Promise<void> {
    return this.#table.dispose();
  }
}
