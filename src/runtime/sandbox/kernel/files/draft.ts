import type { FileWriter } from "../../files.ts";
import { asPosixError, type Call } from "../../posix.ts";
import { Descriptor, unname } from "./descriptors.ts";
import type { Place } from "./place.ts";
import { PIECE_BYTES, SYNC_BYTES } from "./reader.ts";
import { Replacement } from "./replacement.ts";
import type { Root } from "./root.ts";

/** A replacement that is written in several calls. After `commit` or `close` every write fails. */
export class Draft implements FileWriter {
  readonly #replacement: Replacement;
  readonly #file: Descriptor;
  readonly #call: Call;
  readonly #onClose: () => void;
  #closing: Promise<void> | null = null;

  constructor(root: Root, place: Place, call: Call, onClose: () => void) {
    this.#replacement = new Replacement(root, place, call);
    this.#file = new Descriptor(this.#replacement.fd);
    this.#call = call;
    this.#onClose = onClose;
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    const call = { ...this.#call, syscall: "write" };
    try {
      this.#file.assertOpen(call);
      if (data.length <= SYNC_BYTES) this.#replacement.write(offset, data);
      else await this.#writePieces(offset, data, call);
    } catch (error) {
      throw asPosixError(error, call);
    }
  }

  async commit(): Promise<void> {
    try {
      await this.#file.idle();
      this.#file.assertOpen(this.#call);
      await unname(this.#replacement.path, () => this.#replacement.putInPlace());
    } catch (error) {
      throw asPosixError(error, this.#call);
    } finally {
      await this.close();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeOnce();
    return this.#closing;
  }

  async #closeOnce(): Promise<void> {
    this.#replacement.discard();
    await this.#file.close();
    this.#replacement.release();
    this.#onClose();
  }

  async #writePieces(offset: number, data: Uint8Array, call: Call): Promise<void> {
    for (let done = 0; done < data.length; )
      done += await this.#file.write(data.subarray(done, done + PIECE_BYTES), offset + done, call);
  }
}
