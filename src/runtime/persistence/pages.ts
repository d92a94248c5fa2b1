import { pause } from "../../base/pace.ts";
import type { TreePlace } from "../sandbox/persistent-tree.ts";
import { pathOf, StepWriter, Way } from "../sandbox/tree-path.ts";
import { LAZY, putAll, type Store, type StoreEntry } from "../store/store.ts";
import { checksum, encodeBlock, partsOf } from "./codec.ts";
import { encodeRows, type Row, rowOf, type TreeEntry } from "./entries.ts";
import { type RootRecord, SHOWN_CHARACTERS } from "./root.ts";
import { attributesBytes } from "./tree-reading.ts";

/** The hash of a path decides whether its page ends there, so a change moves the borders of its own page only. */
const MEAN_PAGE_ENTRIES = 64;
const MAX_PAGE_ENTRIES = 256;

/** Chunks that a page refers to before it ends, so that large files do not make it slow to encode. */
const MAX_PAGE_CHUNKS = 4096;

/** Bytes of extended attributes in a page before it ends. */
const MAX_PAGE_ATTRIBUTES_BYTES = 256 * 1024;

/** Characters of paths in a page before it ends, so that long paths do not make it slow to encode. */
const MAX_PAGE_PATHS = 128 * 1024;

/** Bytes of new pages that are put into the store together. */
const PUT_BYTES = 1024 * 1024;

/** A page of this size is put alone. The server's storage keeps the large values of one put together, until the last of them is deleted. */
const LARGE_PAGE_BYTES = 64 * 1024;

/**
 * Cuts a tree into pages, and stores new ones. A page that the last tree has keeps its number.
 *
 * @param take takes the number of a new page
 * @returns the pages in the form of a root record, and the last new ones, which the caller puts together with the root
 */
export async function storePages(
  store: Store,
  tree: Iterable<TreeEntry>,
  known: ReadonlyMap<string, number>,
  take: () => number,
): Promise<{ pages: RootRecord["pages"]; waiting: StoreEntry[] }> {
  const list: RootRecord["pages"] = [];
  const steps = new StepWriter();
  let waiting: StoreEntry[] = [];
  let bytes = 0;
  for (const { first, rows } of groupsOf(tree, steps)) {
    await pause();
    const content = encodeRows(rows);
    const sum = checksum(content).toString("base64url");
    let number = known.get(sum);
    if (number === undefined) {
      number = take();
      const block = await encodeBlock(content);
      const parts = partsOf("page", number, block);
      if (block.length >= LARGE_PAGE_BYTES) await putAll(store, parts, LAZY);
      else {
        waiting.push(...parts);
        bytes += block.length;
      }
    }
    list.push([number, sum, shownPath(first)]);
    if (bytes < PUT_BYTES) continue;
    await putAll(store, waiting, LAZY);
    waiting = [];
    bytes = 0;
  }
  return { pages: list, waiting };
}

/** The start of a path. */
function shownPath(place: TreePlace): string {
  let shown = place;
  // A name has a character at least.
  while (shown.depth > SHOWN_CHARACTERS && shown.parent !== null) shown = shown.parent;
  return pathOf(shown).slice(0, SHOWN_CHARACTERS);
}

/** Entries of a page. */
interface Group {
  first: TreePlace;
  rows: Row[];
}

function* groupsOf(tree: Iterable<TreeEntry>, steps: StepWriter): Generator<Group> {
  const hashes = new PathHashes();
  let group: Group | undefined;
  let characters = 0;
  let chunks = 0;
  let attributes = 0;
  for (const entry of tree) {
    const { place } = entry;
    const row = rowOf(entry, steps);
    group ??= { first: place, rows: [] };
    group.rows.push(row);
    characters += row[1].length;
    if (entry.type === "file") chunks += entry.chunks.length;
    if (entry.type !== "symlink" && entry.attributes) attributes += attributesBytes(entry.attributes);
    const isBorder = hashes.hashOf(place) % MEAN_PAGE_ENTRIES === 0;
    const isFull =
      group.rows.length >= MAX_PAGE_ENTRIES ||
      characters >= MAX_PAGE_PATHS ||
      chunks >= MAX_PAGE_CHUNKS ||
      attributes >= MAX_PAGE_ATTRIBUTES_BYTES;
    if (!isBorder && !isFull) continue;
    yield group;
    group = undefined;
    characters = 0;
    chunks = 0;
    attributes = 0;
  }
  if (group !== undefined) yield group;
}

/** Hashes paths with FNV-1a, which spreads the borders well enough. */
class PathHashes {
  readonly #way = new Way();
  /** Hashes of the paths on the way. */
  readonly #hashes: number[] = [];

  hashOf(place: TreePlace): number {
    const hashes = this.#hashes;
    hashes.length = this.#way.to(place);
    for (const { name } of this.#way.places.slice(hashes.length))
      hashes.push(continued(hashes.at(-1) ?? FNV_START, `/${name}`));
    const value = hashes.at(-1) ?? FNV_START;
    // The low bits alone depend too much on the last characters.
    return (value ^ (value >>> 15)) >>> 0;
  }
}

const FNV_START = 0x811c9dc5;

function continued(start: number, text: string): number {
  let value = start;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value;
}
