/** Bytes that are written at a time: other threads write them, and each hand-over costs as much as 200 KiB. */
const GATHERED_BYTES = 512 * 1024;

/**
 * Gathers the pieces of a body, which have at most 64 KiB, into few large ones. One is written while the next arrives. Both have
 * buffers that are used again.
 */
export class Gathering {
  readonly #write: (data: Uint8Array) => Promise<void>;
  readonly #bytes: number;
  #open: Uint8Array | undefined;
  #filled = 0;
  /** Buffer of the last write. */
  #spare: Uint8Array | undefined;
  #writing: Promise<void> = Promise.resolve();

  /**
   * @param write gets bytes that are valid until it resolves
   * @param expected bytes of the body; `NaN` if that is not known
   */
  constructor(write: (data: Uint8Array) => Promise<void>, expected: number) {
    this.#write = write;
    this.#bytes = expected < GATHERED_BYTES ? expected : GATHERED_BYTES;
  }

  /** Takes a piece, which may be freed when this resolves. */
  async add(piece: Uint8Array): Promise<void> {
    for (let from = 0; from < piece.length; ) {
      this.#open ??= new Uint8Array(this.#bytes);
      const part = piece.subarray(from, from + this.#bytes - this.#filled);
      this.#open.set(part, this.#filled);
      this.#filled += part.length;
      from += part.length;
      if (this.#filled === this.#bytes) await this.#flush();
    }
  }

  /** Resolves when everything is written. */
  async end(): Promise<void> {
    if (this.#filled > 0) await this.#flush();
    await this.#writing;
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    await this.#writing.catch(() => undefined);
  }

  async #flush(): Promise<void> {
    const full = this.#open;
    const length = this.#filled;
    if (full === undefined) return;
    this.#open = undefined;
    this.#filled = 0;
    await this.#writing;
    this.#open = this.#spare;
    this.#spare = full;
    this.#writing = this.#write(full.subarray(0, length));
    // The next step, or the end, throws it.
    this.#writing.catch(() => undefined);
  }
}
