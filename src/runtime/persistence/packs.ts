import { free } from "../../base/bytes.ts";
import type { Hole } from "../sandbox/persistent-tree.ts";
import { LAZY, putAll, type Store } from "../store/store.ts";
import {
  BLOCK_HEAD_BYTES,
  checksum,
  Damage,
  decodeBlock,
  encodeBlockIn,
  getParts,
  partsOf,
} from "./codec.ts";
import { type Chunk, isHole } from "./entries.ts";

/** A file's content is cut into chunks of this size. Each distinct chunk is stored once. */
export const CHUNK_BYTES = 128 * 1024;

/** Hash of a whole chunk of zeros. */
const ZEROS = checksum(new Uint8Array(CHUNK_BYTES)).toString("base64url");

/** Chunks are stored together in packs: the storage is faster with few large values than with many small ones. */
const PACK_BYTES = 448 * 1024;

/** Packs that are written to the store at a time. Reading waits for them. */
const MAX_PACKS_UNDER_WAY = 3;

/**
 * Buffers of packs that are stored. New ones for each pack, or for the few files of each new VM, would keep the garbage collector busy.
 * Further buffers, of checkpoints at once, are freed: the collector would find them late, and the server would stay larger.
 */
const spare: Uint8Array[] = [];
const MAX_SPARE = MAX_PACKS_UNDER_WAY;

/** Unpacked packs that a reader caches. */
const CACHED_PACKS = 8;

/** Chunks that the store has already, by their hash. */
type KnownChunks = Pick<ReadonlyMap<string, Chunk>, "get">;

/**
 * Stores chunks in packs, numbered from `next` on. They count once a checkpoint refers to them. Callers read chunks
 * directly into the pack, one after the other: a buffer for each chunk would keep the garbage collector busy.
 */
export class PackWriter {
  next: number;
  readonly #store: Store;
  readonly #known: KnownChunks;
  readonly #added = new Map<string, Chunk>();
  /** Unpacked bytes of each new pack. */
  readonly sizes = new Map<number, number>();
  #open: Uint8Array | undefined;
  #openBytes = 0;
  readonly #underWay = new Set<Promise<void>>();
  #failure: unknown;

  constructor(store: Store, next: number, known: KnownChunks) {
    this.#store = store;
    this.next = next;
    this.#known = known;
  }

  /** New chunks by their hash. */
  get added(): ReadonlyMap<string, Chunk> {
    return this.#added;
  }

  /** Room for the next chunk, of at most CHUNK_BYTES. */
  async room(bytes: number): Promise<Uint8Array> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#openBytes + bytes > PACK_BYTES) await this.#seal();
    // Only the pages that are used become memory of the server.
    this.#open ??= spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_HEAD_BYTES + PACK_BYTES);
    const start = BLOCK_HEAD_BYTES + this.#openBytes;
    return this.#open.subarray(start, start + bytes);
  }

  /** @param content the used part of the last room. It is stored unless the store has the chunk. */
  add(content: Uint8Array): Chunk {
    const hash = checksum(content).toString("base64url");
    return this.#find(hash) ?? this.#push(content, hash);
  }

  /** Stores content of at most CHUNK_BYTES unless the store has it. @param sum its checksum */
  async put(content: Uint8Array, sum: Uint8Array): Promise<Chunk> {
    const hash = Buffer.from(sum).toString("base64url");
    const known = this.#find(hash);
    if (known !== undefined) return known;
    const room = await this.room(content.length);
    room.set(content);
    return this.#push(room, hash);
  }

  #find(hash: string): Chunk | undefined {
    return this.#known.get(hash) ?? this.#added.get(hash);
  }

  /** @param content the used part of the last room */
  #push(content: Uint8Array, hash: string): Chunk {
    const chunk = { pack: this.next, offset: this.#openBytes, length: content.length, hash };
    this.#added.set(hash, chunk);
    this.#openBytes += content.length;
    return chunk;
  }

  /** Resolves when everything is in the store. */
  async finish(): Promise<void> {
    await this.#seal();
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure;
    // Its content was stored already.
    if (this.#open !== undefined) giveBack(this.#open);
    this.#open = undefined;
  }

  /** Resolves when no write to the store is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #seal(): Promise<void> {
    if (this.#open === undefined || this.#openBytes === 0) return;
    const buffer = this.#open;
    const pack = buffer.subarray(0, BLOCK_HEAD_BYTES + this.#openBytes);
    const number = this.next;
    this.sizes.set(number, this.#openBytes);
    this.next += 1;
    this.#open = undefined;
    this.#openBytes = 0;
    const work = this.#write(number, pack)
      .then(() => giveBack(buffer))
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
    if (this.#underWay.size >= MAX_PACKS_UNDER_WAY) await Promise.race(this.#underWay);
  }

  async #write(number: number, pack: Uint8Array): Promise<void> {
    await putAll(this.#store, partsOf("pack", number, await encodeBlockIn(pack)), LAZY);
  }
}

function giveBack(buffer: Uint8Array): void {
  if (spare.length < MAX_SPARE) spare.push(buffer);
  else free(buffer);
}

/** A pack that was read: its record in the store, and the chunks in it. They may share memory. */
interface ReadPack {
  block: Uint8Array;
  content: Uint8Array;
}

/** Reads chunks. A small cache unpacks each pack once if its chunks are read close together. */
export class PackReader {
  readonly #store: Store;
  readonly #cache = new Map<number, Promise<ReadPack>>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** @throws Damage if the chunk is missing or corrupt */
  async read({ pack, offset, length }: Chunk): Promise<Uint8Array> {
    const { content } = await this.#pack(pack);
    if (offset + length > content.length) throw new Damage(`pack ${pack} is too short`);
    return content.subarray(offset, offset + length);
  }

  /** Reads a chunk of a file that is made again: content, or a hole. @throws Damage if the chunk is missing or corrupt */
  async piece(chunk: Chunk): Promise<Uint8Array | Hole> {
    // Earlier servers stored zeros for holes, which may be more than the VM's size.
    return isHole(chunk) || chunk.hash === ZEROS ? { hole: chunk.length } : await this.read(chunk);
  }

  /** Reads the content of a file that is made again. @throws Damage if a chunk is missing or corrupt */
  async *contentOf(chunks: readonly Chunk[]): AsyncGenerator<Uint8Array | Hole> {
    for (const chunk of chunks) yield await this.piece(chunk);
  }

  /** Begins to unpack a pack that will be read soon. */
  prefetch(number: number): void {
    void this.#pack(number);
  }

  /**
   * Frees a pack whose chunks nobody uses any more. They lose their content. The garbage collector would find the memory late, and each
   * pack would take new pages of the kernel.
   */
  async release(number: number): Promise<void> {
    const loading = this.#cache.get(number);
    this.#cache.delete(number);
    const pack = await loading?.catch(() => undefined);
    if (pack === undefined) return;
    free(pack.content);
    free(pack.block);
  }

  #pack(number: number): Promise<ReadPack> {
    const cached = this.#cache.get(number);
    if (cached !== undefined) return cached;
    const loading = this.#load(number);
    // Every reader gets the error from its own await.
    loading.catch(() => undefined);
    this.#cache.set(number, loading);
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= CACHED_PACKS) break;
      this.#cache.delete(oldest);
    }
    return loading;
  }

  async #load(number: number): Promise<ReadPack> {
    const block = await getParts(this.#store, "pack", number);
    if (block === undefined) throw new Damage(`pack ${number} is missing`);
    return { block, content: await decodeBlock(block) };
  }
}
