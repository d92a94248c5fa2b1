import type { ScannedNode } from "../filesystem/node-table.ts";
import type { TreeCursor, TreeFile } from "../sandbox/persistent-tree.ts";
import { codeOf } from "../sandbox/posix.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import { CHUNK_MEMORY, type Chunk, holeChunk } from "./entries.ts";
import { isSettled, type KnownContent } from "./known-contents.ts";
import { CHUNK_BYTES, type PackWriter } from "./packs.ts";
import { readWindows, WINDOW_BYTES } from "./windows.ts";

/** Attempts at reading a file that is written meanwhile. The last attempt counts. */
const MAX_READINGS = 3;

/** Content of a file, or the reason why it was not read. */
export type Reading = KnownContent | "gone" | "unreadable";

/** Stores a file's content. A file that is not written meanwhile is read as of one moment. */
export async function storeContent(
  reader: TreeCursor,
  node: ScannedNode,
  packs: PackWriter,
  account: TreeAccount,
): Promise<Reading> {
  let file: TreeFile | undefined;
  try {
    const empty = node.size === 0 ? await emptyContent(reader, node) : undefined;
    if (empty !== undefined) return empty;
    file = await reader.open(node, node.ino);
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
      if (before.size > Number.MAX_SAFE_INTEGER) return "unreadable";
      const startedAt = Date.now();
      const chunks = await readChunks(file, before.size, packs, account);
      const after = file.stat();
      const stayed = before.ctimeMs === after.ctimeMs && before.size === after.size;
      if (!stayed && reading < MAX_READINGS) continue;
      const size = chunks.reduce((sum, { length }) => sum + length, 0);
      const { mtimeMs, ctimeMs } = after;
      return { size, mtimeMs, ctimeMs, chunks, settled: stayed && isSettled(ctimeMs, startedAt) };
    }
  } catch (error) {
    // The host cannot find the holes of a sparse file.
    if (codeOf(error) === "EFBIG") return "unreadable";
    throw error;
  } finally {
    await file.close();
  }
}

/** Describes an empty file without opening it. @returns `undefined` if its place no longer has it, or if it has content by now */
async function emptyContent(reader: TreeCursor, node: ScannedNode): Promise<KnownContent | undefined> {
  const startedAt = Date.now();
  const found = await reader.stat(node);
  if (found?.type !== "file" || found.ino !== node.ino || found.size > 0) return undefined;
  const { mtimeMs, ctimeMs } = found;
  return { size: 0, mtimeMs, ctimeMs, chunks: [], settled: isSettled(ctimeMs, startedAt) };
}

async function readChunks(
  file: TreeFile,
  size: number,
  packs: PackWriter,
  account: TreeAccount,
): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  const add = (chunk: Chunk) => {
    account.charge(CHUNK_MEMORY);
    chunks.push(chunk);
  };
  for (let offset = 0; offset < size; ) {
    const parts = await file.parts(offset);
    // The rest of the file is a hole.
    if (parts.length === 0) parts.push({ start: size, end: size });
    for (const { start, end } of parts) {
      if (start > offset) add(holeChunk(Math.min(start, size) - offset));
      offset = start;
      if (Math.min(end, size) - offset > WINDOW_BYTES) {
        const last = Math.min(end, size);
        offset += await readWindows(file, { start, end: last }, async (content, sum) =>
          add(await packs.put(content, sum)),
        );
        if (offset < last) return chunks;
      }
      while (offset < Math.min(end, size)) {
        const room = await packs.room(Math.min(CHUNK_BYTES, Math.min(end, size) - offset));
        const count = await file.read(room, offset);
        if (count === 0) return chunks;
        add(packs.add(room.subarray(0, count)));
        offset += count;
      }
    }
  }
  return chunks;
}
