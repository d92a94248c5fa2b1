import type { FileWriter } from "../../files.ts";
import { asPosixError, type Call, posixError } from "../../posix.ts";
import { Descriptor } from "./descriptors.ts";
import { PIECE_BYTES } from "./reader.ts";
import type { Replacement } from "./replacement.ts";

/** A replacement that is written in several calls. After `commit` or `close` every write fails. */
export class Draft implements FileWriter {
  readonly #replacement: Replacement;
  readonly #file: Descriptor;
  readonly #call: Call;
  readonly #onClose: () => void;
  #isCommitted = false;
  #closing: Promise<void> | null = null;

  constructor(replacement: Replacement, call: Call, onClose: () => void) {
    this.#replacement = replacement;
    this.#file = new Descriptor(replacement.fd);
    this.#call = call;
    this.#onClose = onClose;
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    const call = { ...this.#call, syscall: "write" };
    try {
      this.#assertOpen(call);
      for (let done = 0; done < data.length; ) {
        const piece = data.subarray(done, done + PIECE_BYTES);
        done += await this.#file.use(this.#replacement.write(offset + done, piece));
        if (done < data.length) this.#assertOpen(call);
      }
    } catch (error) {
      throw asPosixError(error, call);
    }
  }

  async commit(): Promise<void> {
    try {
      await this.#file.idle();
      this.#assertOpen(this.#call);
      this.#isCommitted = true;
      await this.#file.use(this.#replacement.putInPlaceOfLarge());
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
    await this.#file.close(() => this.#replacement.discard());
    this.#replacement.release();
    this.#onClose();
  }

  #assertOpen(call: Call): void {
    if (this.#isCommitted) throw posixError("EBADF", call);
    this.#file.assertOpen(call);
  }
}
