/** First size of the buffer, in bytes. */
const FIRST_BYTES = 4096;

const NOTHING = Buffer.alloc(0);

/** Bytes that arrive in pieces, in one buffer that doubles. Keeping pieces of 1 byte would take a hundred times their size. */
export class GrowingBuffer {
  #room: Buffer = NOTHING;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The bytes so far. */
  get content(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  /**
   * @param maxBytes bytes that it may reach with later pieces; the buffer does not grow above
   * @throws RangeError if the piece does not fit
   */
  add(piece: Buffer, maxBytes: number): void {
    const length = this.#length + piece.byteLength;
    if (length > maxBytes) throw new RangeError(`${length} bytes in a buffer of at most ${maxBytes}`);
    if (length > this.#room.byteLength) {
      const room = Buffer.allocUnsafeSlow(Math.min(maxBytes, Math.max(FIRST_BYTES, 2 * length)));
      this.#room.copy(room, 0, 0, this.#length);
      this.#room = room;
    }
    piece.copy(this.#room, this.#length);
    this.#length = length;
  }

  /** Forgets the bytes. Content that was read before stays as it is. */
  clear(): void {
    this.#room = NOTHING;
    this.#length = 0;
  }
}
