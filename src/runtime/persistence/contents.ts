import type { Attribute, PersistentTree, TreeFile, TreeNode } from "../sandbox/persistent-tree.ts";
import { codeOf } from "../sandbox/posix.ts";
import type { Chunk } from "./entries.ts";
import { CHUNK_BYTES, type PackWriter } from "./packs.ts";
import type { ScannedNode } from "./scan.ts";

/** The kernel's clock for files ticks this slowly at most: two changes within it may bear the same time. */
const CLOCK_TICK_MS = 20;

/** Readings of a file that is written to meanwhile; the last one counts. */
const MAX_READINGS = 3;

/** What the store has of an inode, and how the inode looked when it was read. A directory has no chunks. */
export interface KnownContent {
  size: number;
  mtimeMs: number;
  ctimeMs: number;
  chunks: Chunk[];
  /** It had been left alone long enough to be recognised by its times. */
  settled: boolean;
  /** `undefined` until they have been read. */
  attributes?: readonly Attribute[];
}

/** What a file had been when it was read, or why it was not. */
export type Reading = KnownContent | "gone" | "unreadable";

/** Whether a file is what was read of it before. */
export function isUnchanged(known: KnownContent | undefined, node: TreeNode): known is KnownContent {
  return (
    known?.settled === true &&
    known.size === node.size &&
    known.mtimeMs === node.mtimeMs &&
    known.ctimeMs === node.ctimeMs
  );
}

/** Stores a file's content. One that holds still is read whole as of one moment. */
export async function storeContent(
  tree: PersistentTree,
  node: ScannedNode,
  packs: PackWriter,
): Promise<Reading> {
  let file: TreeFile | undefined;
  try {
    file = await tree.open(node.path, node.ino);
  } catch (error) {
    const code = codeOf(error);
    // EAGAIN: a process holds a lease on it.
    if (code === "EACCES" || code === "EAGAIN") return "unreadable";
    if (code === "ENOENT" || code === "ENOTDIR") return "gone";
    throw error;
  }
  if (file === undefined) return "gone";
  try {
    for (let reading = 1; ; reading++) {
      const before = file.stat();
      const startedAt = Date.now();
      const chunks = await readChunks(file, before.size, packs);
      const after = file.stat();
      const stayed = before.ctimeMs === after.ctimeMs && before.size === after.size;
      if (!stayed && reading < MAX_READINGS) continue;
      const size = chunks.reduce((sum, { length }) => sum + length, 0);
      const { mtimeMs, ctimeMs } = after;
      return { size, mtimeMs, ctimeMs, chunks, settled: stayed && isSettled(ctimeMs, startedAt) };
    }
  } finally {
    await file.close();
  }
}

/** Whether a change after this time would be seen in the file's own. */
export function isSettled(ctimeMs: number, nowMs: number): boolean {
  return ctimeMs < nowMs - CLOCK_TICK_MS;
}

async function readChunks(file: TreeFile, size: number, packs: PackWriter): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for (let offset = 0; offset < size; ) {
    const room = await packs.room(Math.min(CHUNK_BYTES, size - offset));
    const count = await file.read(room, offset);
    if (count === 0) break;
    chunks.push(packs.add(room.subarray(0, count)));
    offset += count;
  }
  return chunks;
}
