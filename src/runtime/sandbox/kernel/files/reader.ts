import { closeSync, readSync } from "node:fs";
import { KIB, MIB } from "../../../../api/units.ts";
import { joined } from "../../../../base/bytes.ts";
import type { FileReader } from "../../files.ts";
import { asPosixError, type Call, fileTooLarge } from "../../posix.ts";
import { Descriptor } from "./descriptors.ts";
import { openForReading } from "./open.ts";
import type { Entry } from "./place.ts";
import type { Root } from "./root.ts";

/** Up to this size a synchronous call is faster than the thread pool: 60 us instead of 100. */
export const SYNC_BYTES = 256 * KIB;

/** Bytes that one job of the thread pool reads or writes. */
export const PIECE_BYTES = 4 * MIB;

/**
 * A file without a size, such as files of `/proc`.
 * @unit bytes
 * @past The call is refused. Without transfers, MAX_RESULT_BYTES applies first.
 * @code EFBIG
 */
export const MAX_UNSIZED_BYTES = 64 * MIB;
const UNSIZED_PIECE_BYTES = 64 * KIB;

/** An open file and how to read it. */
interface Source {
  file: Descriptor;
  call: Call;
  /** The file is mounted into the VM: its disk may be slow, or the kernel may generate its content. */
  foreign: boolean;
}

/** A file opened for reading, and its size at that moment. */
interface OpenFile {
  source: Source;
  size: number;
}

export function openSource(root: Root, entry: Entry, call: Call): OpenFile {
  const file = new Descriptor(openForReading(root, entry, call));
  const foreign = root.isForeign(entry.stats);
  return { source: { file, call: { ...call, syscall: "read" }, foreign }, size: entry.stats.size };
}

/** Reads a small file in this turn of the event loop. */
export function readNow(root: Root, entry: Entry, call: Call): Uint8Array {
  const fd = openForReading(root, entry, call);
  try {
    const target = new Uint8Array(entry.stats.size);
    for (let filled = 0; filled < target.length; ) {
      const count = readSync(fd, target, filled, target.length - filled, filled);
      if (count === 0) return target.subarray(0, filled);
      filled += count;
    }
    return target;
  } finally {
    closeSync(fd);
  }
}

/** Reads `length` bytes from `offset`: fewer if the file ends before. */
async function readRange(source: Source, offset: number, length: number): Promise<Uint8Array> {
  const { file, call, foreign } = source;
  const target = new Uint8Array(length);
  for (let filled = 0; filled < length; ) {
    const piece = target.subarray(filled, filled + PIECE_BYTES);
    const inPool = foreign || length > SYNC_BYTES;
    const count = inPool
      ? await file.read(piece, offset + filled, call)
      : file.readNow(piece, offset + filled, call);
    if (count === 0) return target.subarray(0, filled);
    filled += count;
  }
  return target;
}

/** Reads a file whose size is unknown to its end. */
async function readUnsized(source: Source, maxBytes: number): Promise<Uint8Array> {
  const maximum = Math.min(maxBytes, MAX_UNSIZED_BYTES);
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const piece = await readRange(source, size, UNSIZED_PIECE_BYTES);
    if (piece.length === 0) return joined(pieces, size);
    pieces.push(piece);
    size += piece.length;
    if (size > maximum) throw fileTooLarge(source.call, size, maximum);
  }
}

/** Reads an open file to its end and closes it. */
export async function readAndClose({ source, size }: OpenFile, maxBytes: number): Promise<Uint8Array> {
  try {
    if (size > maxBytes) throw fileTooLarge(source.call, size, maxBytes);
    return await (size === 0 && source.foreign ? readUnsized(source, maxBytes) : readRange(source, 0, size));
  } catch (error) {
    throw asPosixError(error, source.call);
  } finally {
    await source.file.close();
  }
}

/** Reader for the content of a file whose size was unknown. */
export class BytesReader implements FileReader {
  readonly size: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#bytes.slice(offset, offset + length);
  }

  async fill(target: Uint8Array, offset: number): Promise<number> {
    const piece = this.#bytes.subarray(offset, offset + target.length);
    target.set(piece);
    return piece.length;
  }

  version(): string {
    return "";
  }

  async close(): Promise<void> {
    // The content is in memory.
  }
}

/** Reader for an open file of the VM. It reads up to the size that the file had when it was opened. */
export class RootedReader implements FileReader {
  readonly size: number;
  readonly #source: Source;
  readonly #onClose: () => void;

  constructor(source: Source, size: number, onClose: () => void) {
    this.#source = source;
    this.size = size;
    this.#onClose = onClose;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.#source.file.assertOpen(this.#source.call);
    try {
      return await readRange(this.#source, offset, Math.max(0, Math.min(length, this.size - offset)));
    } catch (error) {
      throw asPosixError(error, this.#source.call);
    }
  }

  async fill(target: Uint8Array, offset: number): Promise<number> {
    const { file, call } = this.#source;
    try {
      return await file.read(target.subarray(0, Math.max(0, this.size - offset)), offset, call);
    } catch (error) {
      throw asPosixError(error, call);
    }
  }

  version(): string {
    const { file, call } = this.#source;
    try {
      // A file that is only replaced or renamed gets another ctime, too.
      const { size, mtimeMs } = file.stat(call);
      return `${size} ${mtimeMs}`;
    } catch (error) {
      throw asPosixError(error, call);
    }
  }

  async close(): Promise<void> {
    this.#onClose();
    await this.#source.file.close();
  }
}
