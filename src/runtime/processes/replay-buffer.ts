import { REPLAY_CHUNK_BYTES } from "../../api/limits.ts";
import type { ReplayBudget } from "./replay-budget.ts";

/** Chunks up to this size together lie in one piece of memory. */
const BLOCK_BYTES = 16 * 1024;

/** A piece of output with its place in the stream. */
interface Piece {
  seq: number;
  data: Uint8Array;
}

/**
 * The newest output up to a number of bytes, for readers that come late. `Kind` is what a chunk has besides its bytes.
 * Each chunk counts REPLAY_CHUNK_BYTES besides its data, which is what it takes: a program may write one byte at a time.
 */
export class ReplayBuffer<Kind extends object> {
  readonly #capacity: number;
  readonly #budget: ReplayBudget | undefined;
  readonly #blocks: Block<Kind>[] = [];
  #bytes = 0;
  #nextSeq = 0;

  constructor(capacityBytes: number, budget?: ReplayBudget) {
    this.#capacity = capacityBytes;
    this.#budget = budget;
  }

  /** @returns the chunk, numbered */
  push(kind: Kind, data: Uint8Array): Kind & Piece {
    const seq = this.#nextSeq++;
    if (!this.#blocks.at(-1)?.append(kind, data)) this.#blocks.push(new Block(seq, kind, data));
    const bytes = data.byteLength + REPLAY_CHUNK_BYTES;
    this.#bytes += bytes;
    this.#budget?.take(this, bytes);
    while (this.#bytes > this.#capacity) this.dropOldest();
    return { ...kind, seq, data };
  }

  /** Chunks with a greater number than `after`, and whether some of those are no longer kept. */
  after(after: number): { chunks: (Kind & Piece)[]; truncated: boolean } {
    const chunks = this.#blocks.flatMap((block) => block.after(after));
    const oldest = this.#blocks[0]?.firstSeq ?? this.#nextSeq;
    return { chunks, truncated: oldest > after + 1 };
  }

  /** @returns `false` when there is nothing left */
  dropOldest(): boolean {
    const block = this.#blocks[0];
    if (block === undefined) return false;
    const bytes = block.drop() + REPLAY_CHUNK_BYTES;
    if (block.isEmpty) this.#blocks.shift();
    this.#bytes -= bytes;
    this.#budget?.give(bytes);
    return true;
  }

  /** No more will come: its output gives way before that of others. */
  end(): void {
    this.#budget?.ended(this);
  }

  /** Forgets everything. */
  clear(): void {
    this.#blocks.length = 0;
    this.#budget?.give(this.#bytes);
    this.#budget?.forget(this);
    this.#bytes = 0;
  }
}

/** Chunks that follow one another. As objects with a buffer each they would take 300 bytes more a chunk. */
class Block<Kind extends object> {
  #data: Uint8Array;
  /** Where each chunk ends, and what it is. */
  readonly #ends: number[];
  readonly #kinds: Kind[];
  readonly #seq: number;
  #dropped = 0;

  constructor(seq: number, kind: Kind, data: Uint8Array) {
    this.#seq = seq;
    this.#data = data;
    this.#ends = [data.byteLength];
    this.#kinds = [kind];
  }

  get firstSeq(): number {
    return this.#seq + this.#dropped;
  }

  get isEmpty(): boolean {
    return this.#dropped === this.#ends.length;
  }

  /** `false` where there is no room. */
  append(kind: Kind, data: Uint8Array): boolean {
    const start = this.#endOf(this.#ends.length - 1);
    const end = start + data.byteLength;
    if (end > BLOCK_BYTES) return false;
    if (end > this.#data.byteLength) {
      const larger = new Uint8Array(Math.min(BLOCK_BYTES, Math.max(end, 2 * this.#data.byteLength)));
      larger.set(this.#data.subarray(0, start));
      this.#data = larger;
    }
    this.#data.set(data, start);
    this.#ends.push(end);
    this.#kinds.push(kind);
    return true;
  }

  /** Drops the oldest chunk; its memory is free when the last one goes. */
  drop(): number {
    const index = this.#dropped++;
    return this.#endOf(index) - this.#endOf(index - 1);
  }

  after(after: number): (Kind & Piece)[] {
    const chunks: (Kind & Piece)[] = [];
    for (let index = Math.max(this.#dropped, after + 1 - this.#seq); index < this.#ends.length; index++) {
      const data = this.#data.slice(this.#endOf(index - 1), this.#endOf(index));
      chunks.push({ ...(this.#kinds[index] as Kind), seq: this.#seq + index, data });
    }
    return chunks;
  }

  #endOf(index: number): number {
    return this.#ends[index] ?? 0;
  }
}
