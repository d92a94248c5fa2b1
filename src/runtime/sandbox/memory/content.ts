/** Size of a chunk. A growing file in one buffer would be copied whole each time. Copying a chunk takes 20 us. */
const CHUNK_BYTES = 256 * 1024;

/** Content of one file, in chunks. Bytes that were never written read as zeros. */
export class Content {
  #size = 0;
  readonly #chunks: (Uint8Array | undefined)[] = [];

  get size(): number {
    return this.#size;
  }

  write(offset: number, data: Uint8Array): void {
    for (let done = 0; done < data.length; ) {
      const position = offset + done;
      const start = position % CHUNK_BYTES;
      const piece = data.subarray(done, done + CHUNK_BYTES - start);
      this.#chunk(Math.floor(position / CHUNK_BYTES), start + piece.length).set(piece, start);
      done += piece.length;
    }
    this.#size = Math.max(this.#size, offset + data.length);
  }

  /** Fills the target, which must not reach past the end. */
  read(offset: number, target: Uint8Array): void {
    for (let done = 0; done < target.length; ) {
      const position = offset + done;
      const start = position % CHUNK_BYTES;
      const length = Math.min(CHUNK_BYTES - start, target.length - done);
      const chunk = this.#chunks[Math.floor(position / CHUNK_BYTES)];
      if (chunk !== undefined) target.set(chunk.subarray(start, start + length), done);
      done += length;
    }
  }

  /** Returns a chunk, grown to at least `length` bytes. */
  #chunk(index: number, length: number): Uint8Array {
    const old = this.#chunks[index];
    if (old !== undefined && old.length >= length) return old;
    const grown = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(length, 2 * (old?.length ?? 0))));
    if (old !== undefined) grown.set(old);
    this.#chunks[index] = grown;
    return grown;
  }
}
