import { batches, entryBytes, type Store, type StoreEntry } from "../store.ts";
import { checksum, Damage, decodeBlock, encodeBlock, getParts, partsOf } from "./codec.ts";
import type { Chunk } from "./entries.ts";

/** A file's content is cut into chunks of this size; each is stored once, however many files have it. */
export const CHUNK_BYTES = 128 * 1024;

/** Chunks are stored together: storage takes few large values more readily than many small ones. */
const PACK_BYTES = 448 * 1024;

/** Packs on their way into the store; what is read meanwhile waits. */
const MAX_PACKS_UNDER_WAY = 3;

/** Unpacked packs that a reader keeps. */
const CACHED_PACKS = 8;

/**
 * Puts chunks into packs, numbered from `next` on. Nothing of them counts before a checkpoint names them. Chunks are read
 * right into their pack, one after the other: a buffer for each would keep the garbage collector busy.
 */
export class PackWriter {
  next: number;
  readonly #store: Store;
  readonly #known: ReadonlyMap<string, Chunk>;
  readonly #added = new Map<string, Chunk>();
  /** Unpacked bytes of each new pack. */
  readonly sizes = new Map<number, number>();
  #open: Uint8Array | undefined;
  #openBytes = 0;
  readonly #underWay = new Set<Promise<void>>();
  #failure: unknown;

  /** @param known chunks that the store has. */
  constructor(store: Store, next: number, known: ReadonlyMap<string, Chunk>) {
    this.#store = store;
    this.next = next;
    this.#known = known;
  }

  /** Chunks that were not known before. */
  get added(): ReadonlyMap<string, Chunk> {
    return this.#added;
  }

  /** Room for the next chunk, of at most CHUNK_BYTES. */
  async room(bytes: number): Promise<Uint8Array> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#openBytes + bytes > PACK_BYTES) await this.#seal();
    this.#open ??= new Uint8Array(PACK_BYTES);
    return this.#open.subarray(this.#openBytes, this.#openBytes + bytes);
  }

  /** @param content the beginning of the room that was given last; it is stored unless it is there */
  add(content: Uint8Array): Chunk {
    const hash = checksum(content).toString("base64url");
    const known = this.#known.get(hash) ?? this.#added.get(hash);
    if (known !== undefined) return known;
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
  }

  /** Resolves when nothing is on its way into the store any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #seal(): Promise<void> {
    if (this.#open === undefined || this.#openBytes === 0) return;
    const pack = this.#open.subarray(0, this.#openBytes);
    const number = this.next;
    this.sizes.set(number, pack.length);
    this.next += 1;
    this.#open = undefined;
    this.#openBytes = 0;
    const work = this.#write(number, pack)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
    if (this.#underWay.size >= MAX_PACKS_UNDER_WAY) await Promise.race(this.#underWay);
  }

  async #write(number: number, pack: Uint8Array): Promise<void> {
    const entries: StoreEntry[] = partsOf("pack", number, await encodeBlock(pack));
    for (const batch of batches(entries, entryBytes)) await this.#store.put(batch);
  }
}

/** Reads chunks; packs that lie close to each other are unpacked once. */
export class PackReader {
  readonly #store: Store;
  readonly #cache = new Map<number, Promise<Uint8Array>>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** @throws Damage where the chunk is missing or corrupt. */
  async read({ pack, offset, length }: Chunk): Promise<Uint8Array> {
    const content = await this.#pack(pack);
    if (offset + length > content.length) throw new Damage(`pack ${pack} is too short`);
    return content.subarray(offset, offset + length);
  }

  #pack(number: number): Promise<Uint8Array> {
    const cached = this.#cache.get(number);
    if (cached !== undefined) return cached;
    const loading = this.#load(number);
    // Whoever asks is told; nobody else must be.
    loading.catch(() => undefined);
    this.#cache.set(number, loading);
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= CACHED_PACKS) break;
      this.#cache.delete(oldest);
    }
    return loading;
  }

  async #load(number: number): Promise<Uint8Array> {
    const block = await getParts(this.#store, "pack", number);
    if (block === undefined) throw new Damage(`pack ${number} is missing`);
    return decodeBlock(block);
  }
}
