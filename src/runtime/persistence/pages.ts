import { pause } from "../sandbox/pace.ts";
import type { StoreEntry } from "../store.ts";
import { attributesBytes } from "./attributes.ts";
import { checksum, encodeBlock, partsOf } from "./codec.ts";
import { type Entry, encodeEntries } from "./entries.ts";

/** A page ends where a path's own hash says so: a change moves the borders of no page but its own. */
const MEAN_PAGE_ENTRIES = 64;
const MAX_PAGE_ENTRIES = 256;

/** Chunks that a page may refer to, so that a large file does not make it slow to encode. */
const MAX_PAGE_CHUNKS = 4096;

/** The same for extended attributes. */
const MAX_PAGE_ATTRIBUTES_BYTES = 256 * 1024;

export interface Pages {
  /** As a root record lists them. */
  list: [number: number, checksum: string, firstPath: string][];
  /** What is not in the store yet. */
  entries: StoreEntry[];
  /** The first number that is still free. */
  next: number;
}

/** Cuts a tree into pages; those that the last tree had already keep their numbers. */
export async function makePages(
  tree: readonly Entry[],
  known: ReadonlyMap<string, number>,
  first: number,
): Promise<Pages> {
  const pages: Pages = { list: [], entries: [], next: first };
  for (const group of groupsOf(tree)) {
    await pause();
    const content = encodeEntries(group);
    const sum = checksum(content).toString("base64url");
    let number = known.get(sum);
    if (number === undefined) {
      number = pages.next++;
      pages.entries.push(...partsOf("page", number, await encodeBlock(content)));
    }
    pages.list.push([number, sum, group[0]?.path ?? ""]);
  }
  return pages;
}

function* groupsOf(tree: readonly Entry[]): Generator<Entry[]> {
  let group: Entry[] = [];
  let chunks = 0;
  let attributes = 0;
  for (const entry of tree) {
    group.push(entry);
    if (entry.type === "file") chunks += entry.chunks.length;
    if (entry.type !== "symlink" && entry.attributes) attributes += attributesBytes(entry.attributes);
    const isBorder = hashOf(entry.path) % MEAN_PAGE_ENTRIES === 0;
    const isFull =
      group.length >= MAX_PAGE_ENTRIES ||
      chunks >= MAX_PAGE_CHUNKS ||
      attributes >= MAX_PAGE_ATTRIBUTES_BYTES;
    if (!isBorder && !isFull) continue;
    yield group;
    group = [];
    chunks = 0;
    attributes = 0;
  }
  if (group.length > 0) yield group;
}

/** FNV-1a, which is enough to spread borders. */
function hashOf(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  // The low bits alone follow the last characters too closely.
  return (value ^ (value >>> 15)) >>> 0;
}
