/** A piece of output with its place in the stream. */
interface Piece {
  seq: number;
  data: Uint8Array;
}

/** The newest output up to a number of bytes, for readers that come late. */
export class ReplayBuffer<Chunk extends Piece> {
  readonly #capacity: number;
  #chunks: Chunk[] = [];
  #first = 0;
  #bytes = 0;
  #nextSeq = 0;

  constructor(capacityBytes: number) {
    this.#capacity = capacityBytes;
  }

  /** Number of the next chunk. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  push(chunk: Chunk): void {
    this.#nextSeq = chunk.seq + 1;
    this.#chunks.push(chunk);
    this.#bytes += chunk.data.byteLength;
    while (this.#bytes > this.#capacity && this.#first < this.#chunks.length - 1) {
      this.#bytes -= (this.#chunks[this.#first] as Chunk).data.byteLength;
      this.#first++;
    }
    // Dropped chunks are let go in bulk: shifting one at a time moves the whole array.
    if (this.#first > 1024 || this.#first * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Chunks with a greater number than `after`, and whether some of those are no longer kept. */
  after(after: number): { chunks: Chunk[]; truncated: boolean } {
    const chunks = this.#chunks.slice(this.#first).filter((chunk) => chunk.seq > after);
    const oldest = this.#chunks[this.#first]?.seq ?? this.#nextSeq;
    return { chunks, truncated: oldest > after + 1 };
  }
}
