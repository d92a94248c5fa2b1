import { invalidArgument } from "../../api/errors.ts";
import type { FileReader } from "../sandbox/files.ts";

/** A file on its way out of the VM, piece by piece. */
export class Download {
  readonly #reader: FileReader;
  readonly #chunkBytes: number;

  constructor(reader: FileReader, chunkBytes: number) {
    this.#reader = reader;
    this.#chunkBytes = chunkBytes;
  }

  async read(offset: number): Promise<Uint8Array> {
    const { size } = this.#reader;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset > size)
      throw invalidArgument("offset", `an integer from 0 to the file's size, ${size}`, offset);
    return this.#reader.read(offset, this.#chunkBytes);
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
