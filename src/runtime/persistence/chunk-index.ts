import { visitAll } from "../../base/pace.ts";
import type { Chunk } from "./entries.ts";
import type { RootRecord } from "./root.ts";

/** A pack of which a tree uses less than this part is rewritten, so that wasted space has a bound. */
const MIN_USED_PART = 0.5;

/** Bytes that one checkpoint rewrites at most, to free wasted space. */
const MAX_REPACKED_BYTES = 32 * 1024 * 1024;

/** Chunks of the newest tree by their hash. A checkpoint refers to them instead of storing their content again. */
export class ChunkIndex {
  #chunks = new Map<string, Chunk>();
  /** Packs that the checkpoint under way rewrites. */
  #wasteful: ReadonlySet<number> = new Set();

  /** Replaces all chunks by the chunks of a restored tree. */
  reset(chunks: Map<string, Chunk>): void {
    this.#chunks = chunks;
  }

  /** Begins a checkpoint: chooses the packs of the last tree to rewrite. */
  begin({ packs }: RootRecord): void {
    const wasteful = new Set<number>();
    let bytes = 0;
    for (const [pack, size, used] of packs) {
      if (used >= size * MIN_USED_PART || bytes + used > MAX_REPACKED_BYTES) continue;
      wasteful.add(pack);
      bytes += used;
    }
    this.#wasteful = wasteful;
  }

  /** The chunk with a hash, unless its pack is rewritten. */
  get(hash: string): Chunk | undefined {
    const chunk = this.#chunks.get(hash);
    return chunk && this.#wasteful.has(chunk.pack) ? undefined : chunk;
  }

  /** Whether any of these chunks must be stored again. */
  isWasteful(chunks: readonly Chunk[]): boolean {
    return this.#wasteful.size > 0 && chunks.some(({ pack }) => this.#wasteful.has(pack));
  }

  /** Adds new chunks, unless the tree does not use their pack. */
  async add(chunks: ReadonlyMap<string, Chunk>, used: ReadonlySet<number>): Promise<void> {
    await visitAll(chunks, ([hash, chunk]) => {
      if (used.has(chunk.pack)) this.#chunks.set(hash, chunk);
    });
  }

  /** Forgets the chunks of deleted packs. */
  async forget(packs: readonly number[]): Promise<void> {
    if (packs.length === 0) return;
    const deleted = new Set(packs);
    await visitAll(this.#chunks, ([hash, { pack }]) => {
      if (deleted.has(pack)) this.#chunks.delete(hash);
    });
  }
}
