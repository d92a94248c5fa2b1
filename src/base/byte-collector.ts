/** Maximum size of a block. */
const MAX_BLOCK_BYTES = 256 * 1024;

/** Copies small pieces into large blocks. A Buffer for each piece would cost 200 bytes, and a piece may be 1 byte. */
export class ByteCollector {
  #full: Buffer[] = [];
  #block: Buffer = Buffer.alloc(0);
  #filled = 0;

  /** Collected bytes. */
  get length(): number {
    return this.#full.reduce((sum, { length }) => sum + length, this.#filled);
  }

  push(data: Buffer): void {
    const fitting = data.copy(this.#block, this.#filled);
    this.#filled += fitting;
    if (fitting === data.length) return;
    this.#full.push(this.#block);
    const rest = data.subarray(fitting);
    const size = Math.max(rest.length, Math.min(2 * this.#block.length, MAX_BLOCK_BYTES));
    this.#block = Buffer.allocUnsafeSlow(size);
    this.#filled = rest.copy(this.#block);
  }

  /** Drops the end, until at most so many bytes are left. */
  cutTo(bytes: number): void {
    let start = this.length - this.#filled;
    while (start > bytes) {
      this.#block = this.#full.pop()!;
      this.#filled = this.#block.length;
      start -= this.#filled;
    }
    this.#filled = Math.min(this.#filled, bytes - start);
  }

  /** Returns all collected bytes and empties the collector. */
  takeAll(): Buffer {
    return Buffer.concat(this.takeBlocks());
  }

  /** Returns all collected bytes in blocks, and empties the collector. */
  takeBlocks(): Buffer[] {
    const blocks = [...this.#full, this.#block.subarray(0, this.#filled)];
    this.#full = [];
    this.#block = Buffer.alloc(0);
    this.#filled = 0;
    return blocks;
  }
}
