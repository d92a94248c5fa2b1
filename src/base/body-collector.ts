import { free } from "./bytes.ts";

const NOTHING = Buffer.alloc(0);

/** Room for the first piece. */
const FIRST_BYTES = 1024;

/**
 * Collects the pieces of a body, a line or a frame in one buffer, however small they are: a Buffer for each piece costs 150 to 250
 * bytes.
 */
export class BodyCollector {
  readonly #most: number;
  #bytes: Buffer = NOTHING;
  #length = 0;

  /** @param most bytes that the collector keeps */
  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  /** Bytes that have arrived. */
  get length(): number {
    return this.#length;
  }

  /** The bytes so far, in memory that the next call of `add` may free. */
  get content(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /**
   * Copies a piece.
   *
   * @param most bytes that the collector keeps with this piece, if it is not the collector's own limit; the buffer does not grow above
   * @returns `false` if the bytes would be more. The collector then stays as it is.
   */
  add(piece: Uint8Array, most = this.#most): boolean {
    const length = this.#length + piece.length;
    if (length > most) return false;
    if (length > this.#bytes.length)
      this.#grow(Math.min(Math.max(length, 2 * this.#bytes.length, FIRST_BYTES), most));
    this.#bytes.set(piece, this.#length);
    this.#length = length;
    return true;
  }

  /** Returns all bytes in a memory of their own, and empties the collector. */
  take(): Buffer {
    const [held, length] = [this.#bytes, this.#length];
    this.#bytes = NOTHING;
    this.#length = 0;
    if (held.length === length) return held;
    const fitting = Buffer.allocUnsafeSlow(length);
    held.copy(fitting, 0, 0, length);
    free(held);
    return fitting;
  }

  #grow(size: number): void {
    const room = Buffer.allocUnsafeSlow(size);
    this.#bytes.copy(room, 0, 0, this.#length);
    free(this.#bytes);
    this.#bytes = room;
  }
}
