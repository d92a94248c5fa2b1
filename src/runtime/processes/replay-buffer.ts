import { type FairPool, PooledKeeper } from "../../base/fair-pool.ts";
import { MAX_EVENT_DATA_BYTES, REPLAY_CHUNK_BYTES } from "./limits.ts";

/** Chunks share a block of memory of this size. */
const BLOCK_BYTES = 16 * 1024;

/** A piece of output with its number in the stream. */
interface Piece {
  seq: number;
  data: Uint8Array;
}

/**
 * Keeps the newest output, up to a number of bytes, for late readers. `Kind` has the fields of a chunk besides its data.
 * Each chunk is charged REPLAY_CHUNK_BYTES besides its data, because a program may write one byte at a time.
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

  /** @returns the chunk with its number */
  push(kind: Kind, data: Uint8Array): Kind & Piece {
    const seq = this.#nextSeq++;
    if (!this.#blocks.at(-1)?.append(kind, data)) this.#blocks.push(new Block(seq, kind, data));
    const bytes = data.byteLength + REPLAY_CHUNK_BYTES;
    this.#bytes += bytes;
    this.#budget?.take(this, bytes);
    while (this.#bytes > this.#capacity) this.dropOldest();
    return { ...kind, seq, data };
  }

  /** Number of the next chunk. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** Returns chunks with a number above `after`, and whether any of them were dropped. */
  after(after: number): { chunks: (Kind & Piece)[]; truncated: boolean } {
    const chunks = this.#blocks.flatMap((block) => block.after(after));
    const oldest = this.#blocks[0]?.firstSeq ?? this.#nextSeq;
    return { chunks, truncated: oldest > after + 1 };
  }

  /** @returns `false` if the buffer is empty */
  dropOldest(): boolean {
    const block = this.#blocks[0];
    if (block === undefined) return false;
    const bytes = block.drop() + REPLAY_CHUNK_BYTES;
    if (block.isEmpty) this.#blocks.shift();
    this.#bytes -= bytes;
    this.#budget?.give(bytes);
    return true;
  }

  /** Marks the stream as ended: its output is dropped before the output of running processes. */
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

/** Consecutive chunks in one buffer. An object and a buffer for each chunk would take 300 bytes more per chunk. */
class Block<Kind extends object> {
  #data: Uint8Array;
  /** The end offset of each chunk. */
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

  /** @returns `false` if the block has no room */
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

  /** Drops the oldest chunk. The block's memory is freed with its last chunk. @returns the chunk's bytes */
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

/** A buffer that can be made smaller. */
interface Holder {
  dropOldest(): boolean;
}

/**
 * Bytes that one VM keeps of its programs' output. Past the limit the oldest buffers are cut, ended buffers first. Past the limit of
 * all VMs, the VMs that keep the most lose output.
 */
export class ReplayBudget extends PooledKeeper {
  readonly #capacity: number;
  readonly #running = new Set<Holder>();
  readonly #ended = new Set<Holder>();
  #isReleased = false;

  /** @param pool bytes of all VMs. @default none */
  constructor(capacityBytes: number, pool?: FairPool) {
    super(pool);
    this.#capacity = capacityBytes;
  }

  take(holder: Holder, bytes: number): void {
    if (this.#isReleased) return;
    this.#running.add(holder);
    this.change(bytes);
    this.shrinkTo(this.#capacity);
  }

  shrinkTo(bytes: number): void {
    for (const set of [this.#ended, this.#running]) {
      for (const oldest of set) {
        while (this.bytes > bytes && oldest.dropOldest());
        if (this.bytes <= bytes) return;
        set.delete(oldest);
      }
    }
  }

  give(bytes: number): void {
    if (!this.#isReleased) this.change(-bytes);
  }

  ended(holder: Holder): void {
    if (this.#running.delete(holder)) this.#ended.add(holder);
  }

  forget(holder: Holder): void {
    this.#running.delete(holder);
    this.#ended.delete(holder);
  }

  /** The VM has ended, and its output goes with it. */
  async settled(): Promise<void> {
    this.change(-this.bytes);
    this.#isReleased = true;
  }
}

/** Splits output into pieces that each fit into one event. */
export function* splitEvent(data: Buffer): Generator<Uint8Array> {
  for (let offset = 0; offset < data.length; offset += MAX_EVENT_DATA_BYTES) {
    const piece = data.subarray(offset, offset + MAX_EVENT_DATA_BYTES);
    // A copy: a view would carry its whole underlying buffer over the wire and into the replay buffer.
    yield new Uint8Array(piece);
  }
}
