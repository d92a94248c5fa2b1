import { z } from "zod";
import type { AgentVmError } from "../../api/errors.ts";
import { pause, visitAll } from "../../base/pace.ts";
import type { TreePlace } from "../sandbox/persistent-tree.ts";
import { namesIn } from "../sandbox/posix.ts";
import { placeOf, StepReader, type Steps, TreeOrder } from "../sandbox/tree-path.ts";
import { decodeJson, encodeJson, type Store, type StoreEntry } from "../store/store.ts";
import { Damage, decodeBlock, encodeBlock, getParts, getValues, partsOf, storageDamaged } from "./codec.ts";
import { decodeEntries, isHole, type TreeEntry } from "./entries.ts";
import { PackReader } from "./packs.ts";

const integer = z.int().nonnegative();

/** Bytes of all files. Earlier servers have stored sums of sparse files above the integers of JavaScript. */
export const byteSum = z.number().nonnegative();

const rootSchema = z.object({
  /** Number, checksum and first path of each page, in the order of the tree. */
  pages: z.array(z.tuple([integer, z.string(), z.string()])),
  /** Number of each pack, its unpacked bytes, and how many of them the tree uses. */
  packs: z.array(z.tuple([integer, integer, integer])),
  files: integer,
  bytes: byteSum,
});

/** The record of a whole tree: its pages, and the packs that its pages refer to. */
export type RootRecord = z.infer<typeof rootSchema>;

export const EMPTY_ROOT: RootRecord = { pages: [], packs: [], files: 0, bytes: 0 };

/** Characters of a page's first path in the root record. A longer path is cut. */
export const SHOWN_CHARACTERS = 1024;

/** Bytes of a page of the VM's memory, and pages for files that no stored tree has. */
const [PAGE_BYTES, SPARE_PAGES] = [4096, 1024];

/** Pages that are read together. A tree with no more pages keeps them, because a restart reads its pages twice. */
const PAGES_AT_ONCE = 8;

/**
 * Bytes of pages that a small tree keeps.
 * @unit bytes
 */
const KEPT_PAGES_BYTES = 1024 * 1024;

type Blocks = (Uint8Array | undefined)[];

function fail(error: Error): never {
  throw error;
}

/** A checkpoint or snapshot in the store. */
export class StoredTree {
  /** Reads the content of its files. */
  readonly packs: PackReader;
  readonly #store: Store;
  readonly #root: RootRecord;
  /** Pages of a small tree, once they have been read. */
  #kept: Blocks | undefined;

  constructor(store: Store, root: RootRecord) {
    this.packs = new PackReader(store);
    this.#store = store;
    this.#root = root;
  }

  /** Most bytes that its files take in a VM: whole pages of each, and some for the files of every VM. */
  get room(): number {
    return this.#root.bytes + (this.#root.files + SPARE_PAGES) * PAGE_BYTES;
  }

  /** Number of entries. */
  get files(): number {
    return this.#root.files;
  }

  /**
   * All entries, page by page, parents before children.
   *
   * @param steps finds the places. @default equal paths of different directories may have different places
   * @param onLost receives the error of a page that is lost. @default the error is thrown
   * @throws AgentVmError `storage_damaged`
   */
  async *pages(
    steps: Steps = new StepReader(),
    onLost: (error: AgentVmError) => void = fail,
  ): AsyncGenerator<TreeEntry[]> {
    const { pages } = this.#root;
    for (let start = 0; start < pages.length; start += PAGES_AT_ONCE) {
      const blocks = await this.#blocks(start);
      for (const [index, block] of blocks.entries()) {
        const [number, , firstPath] = pages[start + index]!;
        try {
          yield await decodePage(block, number, steps);
        } catch (error) {
          if (!(error instanceof Damage)) throw error;
          steps.lose();
          const lost = `${error.message}: it held ${firstPath} and the entries after it`;
          onLost(storageDamaged(lost, { from: firstPath }));
        }
      }
    }
  }

  /** Reads the pages from a place on, several together. */
  async #blocks(start: number): Promise<Blocks> {
    if (this.#kept !== undefined) return this.#kept;
    const { pages } = this.#root;
    const numbers = pages.slice(start, start + PAGES_AT_ONCE).map(([number]) => number);
    const blocks = await getValues(this.#store, "page", numbers);
    const bytes = blocks.reduce((sum, block) => sum + (block?.length ?? 0), 0);
    if (pages.length <= PAGES_AT_ONCE && bytes <= KEPT_PAGES_BYTES) this.#kept = blocks;
    return blocks;
  }

  /**
   * Finds the entry of a path, without following links.
   *
   * @throws AgentVmError `storage_damaged`
   */
  async find(path: string): Promise<TreeEntry | undefined> {
    const names = namesIn(path);
    const isWanted = ({ place }: TreeEntry) => isAt(place, names);
    const page = this.#pageOf(path);
    if (page === undefined) return undefined;
    const [number, , first] = page;
    const entries = await loadPage(this.#store, number, new StepReader()).catch(unlessDamaged);
    const entry = entries?.find(isWanted);
    if (entry !== undefined) return entry;
    const isCut = first.length >= SHOWN_CHARACTERS;
    if (entries !== undefined && !isCut) return undefined;
    // A page that begins with a long path may continue the one before it, or come after the page that has the path.
    for await (const entries of this.pages()) {
      const turn = pause();
      if (turn !== null) await turn;
      const later = entries.find(isWanted);
      if (later !== undefined) return later;
    }
    return undefined;
  }

  /** Returns the last page whose first path, as the record has it, is not behind a path. */
  #pageOf(path: string): RootRecord["pages"][number] | undefined {
    const { pages } = this.#root;
    const wanted = placeOf(path);
    let [low, high] = [0, pages.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const [, , first] = pages[middle]!;
      if (new TreeOrder().compare(placeOf(first), wanted) <= 0) low = middle + 1;
      else high = middle;
    }
    return pages[low - 1];
  }
}

/** Whether a place has a path of these names. */
function isAt(place: TreePlace, names: readonly string[]): boolean {
  if (place.depth !== names.length) return false;
  let at = place;
  for (; at.parent !== null && at.name === names[at.depth - 1]; at = at.parent);
  return at.parent === null;
}

function unlessDamaged(error: unknown): undefined {
  if (!(error instanceof Damage)) throw error;
}

/**
 * Counts the files and bytes of a tree, and how much of each pack it uses.
 *
 * @param sizes unpacked bytes of the packs
 */
export async function usageOf(
  entries: Iterable<TreeEntry>,
  sizes: ReadonlyMap<number, number>,
): Promise<Omit<RootRecord, "pages">> {
  const used = new Map<number, number>();
  const counted = new Set<string>();
  let bytes = 0;
  let files = 0;
  await visitAll(entries, (entry) => {
    files += 1;
    if (entry.type !== "file") return;
    // Sparse files have more bytes than there are.
    bytes = Math.min(bytes + entry.size, Number.MAX_SAFE_INTEGER);
    for (const chunk of entry.chunks) {
      const { pack, length, hash } = chunk;
      if (isHole(chunk) || counted.has(hash)) continue;
      counted.add(hash);
      used.set(pack, (used.get(pack) ?? 0) + length);
    }
  });
  const packs = [...used]
    .map(([pack, live]): [number, number, number] => [pack, sizes.get(pack) ?? live, live])
    .sort(([a], [b]) => a - b);
  return { packs, files, bytes };
}

export async function encodeRoot(number: number, root: RootRecord): Promise<StoreEntry[]> {
  return partsOf("root", number, await encodeBlock(encodeJson(root)));
}

/** @throws Damage if the record is missing or corrupt @internal exported for tests that look into the store */
export async function loadRoot(store: Store, number: number): Promise<RootRecord> {
  const block = await getParts(store, "root", number);
  if (block === undefined) throw new Damage(`root ${number} is missing`);
  const root = rootSchema.safeParse(decodeJson(await decodeBlock(block)));
  if (!root.success) throw new Damage(`root ${number} has an unknown form`);
  return root.data;
}

/** Like `loadRoot`. @throws AgentVmError `storage_damaged` */
export async function loadTree(store: Store, number: number): Promise<RootRecord> {
  try {
    return await loadRoot(store, number);
  } catch (error) {
    throw error instanceof Damage ? storageDamaged(error.message) : error;
  }
}

/** @throws Damage if the page is missing or corrupt @internal exported for tests that look into the store */
export async function loadPage(store: Store, number: number, steps: Steps): Promise<TreeEntry[]> {
  return await decodePage(await getParts(store, "page", number), number, steps);
}

/** @throws Damage if the page is missing or corrupt */
async function decodePage(block: Uint8Array | undefined, number: number, steps: Steps): Promise<TreeEntry[]> {
  if (block === undefined) throw new Damage(`page ${number} is missing`);
  return decodeEntries(await decodeBlock(block), steps);
}
