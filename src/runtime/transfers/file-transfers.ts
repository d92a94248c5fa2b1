import { fileChanged, invalidArgument } from "../../api/errors.ts";
import {
  MAX_TRANSFER_BYTES,
  MAX_TRANSFERS,
  TRANSFER_CHUNK_BYTES,
  TRANSFER_IDLE_MS,
} from "../../api/limits.ts";
import type { RoomMethods } from "../../api/methods/table.ts";
import type { FileReadTransfer } from "../../api/methods/transport.ts";
import { withParents } from "../filesystem/parents.ts";
import { checkPath, checkWritablePath } from "../filesystem/paths.ts";
import type { FileReader, FileSystem } from "../sandbox/files.ts";
import { type BodySource, type BodyStart, Outgoing, TransferBodies } from "./bodies.ts";
import { TransferTable } from "./transfer-table.ts";
import { Upload } from "./upload.ts";

interface FileTransfersOptions {
  /** Table of open transfers. @default a new table */
  table?: TransferTable;
  /** Maximum bytes of one piece. @default TRANSFER_CHUNK_BYTES */
  chunkBytes?: number;
  /** Called and awaited after a file was put in place. @default does nothing */
  placed?(): Promise<void>;
}

/**
 * Transfers files over the wire in pieces. A transfer has an unguessable id. It ends with a commit, with endFileTransfer,
 * or after TRANSFER_IDLE_MS without use.
 *
 * @example
 * const { transferId } = await transfers.beginFileWrite("/workspace/data.bin", bytes.length);
 * await transfers.writeFileChunk(transferId, 0, bytes);
 * await transfers.commitFileWrite(transferId);
 */
export class FileTransfers implements RoomMethods<"transfers"> {
  readonly #fs: FileSystem;
  readonly #chunkBytes: number;
  readonly #placed: () => Promise<void>;
  readonly #table: TransferTable;
  /** The bytes of these transfers as HTTP bodies. */
  readonly bodies: TransferBodies;

  constructor(fs: FileSystem, options: FileTransfersOptions = {}) {
    this.#fs = fs;
    this.#chunkBytes = options.chunkBytes ?? TRANSFER_CHUNK_BYTES;
    this.#placed = options.placed ?? (async () => undefined);
    this.#table = options.table ?? new TransferTable(MAX_TRANSFERS, TRANSFER_IDLE_MS);
    this.bodies = new TransferBodies(this.#table);
  }

  async beginFileRead(path: string, firstBytes = this.#chunkBytes): Promise<FileReadTransfer> {
    checkPath(path, "open");
    return this.#table.begin(
      () => this.#fs.openReader(path),
      async (reader, keep) => {
        const { size } = reader;
        const data = await reader.read(0, firstBytes);
        if (size > firstBytes)
          return { size, data, transferId: keep(new Download(reader, this.#chunkBytes)) };
        await reader.close();
        return { size: data.length, data, transferId: null };
      },
    );
  }

  /** Reads the piece at an offset. The piece is empty at the end of the file. */
  readFileChunk(transferId: string, offset: number): Promise<Uint8Array> {
    return this.#table.use(transferId, Download, (download) => download.read(offset));
  }

  async beginFileWrite(path: string, size?: number): Promise<{ transferId: string }> {
    checkWritablePath(path, "open");
    if (size !== undefined && (!Number.isSafeInteger(size) || size < 0 || size > MAX_TRANSFER_BYTES))
      throw invalidArgument("size", `an integer from 0 to ${MAX_TRANSFER_BYTES}`, size);
    return this.#table.begin(
      () => withParents(this.#fs, path, () => this.#fs.openWriter(path)),
      async (writer, keep) => ({ transferId: keep(new Upload(writer, size)) }),
    );
  }

  writeFileChunk(transferId: string, offset: number, data: Uint8Array): Promise<void> {
    return this.#table.use(transferId, Upload, (upload) => upload.write(offset, data));
  }

  /** Puts the file in place. While pieces are missing, the call is refused and the transfer stays open. */
  commitFileWrite(transferId: string, size?: number): Promise<void> {
    return this.#table.use(transferId, Upload, async (upload) => {
      upload.assertComplete(size);
      await upload.commit().finally(() => this.endFileTransfer(transferId));
      await this.#placed();
    });
  }

  transferOffset(transferId: string): Promise<number> {
    return this.bodies.offset(transferId);
  }

  endFileTransfer(transferId: string): Promise<void> {
    return this.#table.end(transferId);
  }

  /** Closes all transfers. Later calls reject with `vm_stopped`. */
  dispose(): Promise<void> {
    return this.#table.dispose();
  }
}

/** Sends a file out of the VM piece by piece. */
class Download extends Outgoing {
  readonly #reader: FileReader;
  readonly #chunkBytes: number;
  readonly #version: string;

  constructor(reader: FileReader, chunkBytes: number) {
    super();
    this.#reader = reader;
    this.#chunkBytes = chunkBytes;
    this.#version = reader.version();
  }

  async read(offset: number): Promise<Uint8Array> {
    this.#check(offset);
    return this.#reader.read(offset, this.#chunkBytes);
  }

  async from({ offset, isResumed }: BodyStart): Promise<BodySource> {
    this.#check(offset);
    if (isResumed && this.#reader.version() !== this.#version) throw fileChanged();
    let at = offset;
    return {
      length: this.#reader.size - offset,
      fill: async (target) => {
        const count = await this.#reader.fill(target, at);
        at += count;
        return count;
      },
    };
  }

  close(): Promise<void> {
    this.turn.cut();
    return this.#reader.close();
  }

  #check(offset: number): void {
    const { size } = this.#reader;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > size)
      throw invalidArgument("offset", `an integer from 0 to the file's size, ${size}`, offset);
  }
}
