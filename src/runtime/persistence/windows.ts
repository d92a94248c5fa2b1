import type { DataPart, TreeFile } from "../sandbox/persistent-tree.ts";
import { checksumOf } from "./codec.ts";
import { CHUNK_BYTES } from "./packs.ts";

/** Bytes of a large file that are read and hashed at a time. */
export const WINDOW_BYTES = 8 * CHUNK_BYTES;

/**
 * Reads a part of a large file chunk by chunk. Other threads read a window and hash its chunks while the window before it is taken.
 *
 * @param take receives each chunk, in order, with its checksum. The content is valid until `take` resolves
 * @returns the bytes read: fewer than the part has if the file ends before
 */
export async function readWindows(
  file: TreeFile,
  { start, end }: DataPart,
  take: (content: Uint8Array, sum: Uint8Array) => Promise<void>,
): Promise<number> {
  const windows = [new Uint8Array(WINDOW_BYTES), new Uint8Array(WINDOW_BYTES)] as const;
  let offset = start;
  let next = readWindow(file, windows[0], offset, end);
  for (let turn = 1; ; turn++) {
    const chunks = await next;
    const count = chunks.reduce((sum, { content }) => sum + content.length, 0);
    offset += count;
    const isLast = count < WINDOW_BYTES || offset === end;
    if (!isLast) next = readWindow(file, windows[turn % 2] as Uint8Array, offset, end);
    // The failure of a window is thrown when its turn comes.
    next.catch(() => undefined);
    for (const { content, sum } of chunks) await take(content, sum);
    if (isLast) return offset - start;
  }
}

interface HashedChunk {
  content: Uint8Array;
  sum: Uint8Array;
}

async function readWindow(
  file: TreeFile,
  window: Uint8Array,
  offset: number,
  end: number,
): Promise<HashedChunk[]> {
  const wanted = Math.min(window.length, end - offset);
  let filled = 0;
  while (filled < wanted) {
    const count = await file.read(window.subarray(filled, wanted), offset + filled);
    if (count === 0) break;
    filled += count;
  }
  const starts = Array.from({ length: Math.ceil(filled / CHUNK_BYTES) }, (_, index) => index * CHUNK_BYTES);
  return await Promise.all(
    starts.map(async (at) => {
      const content = window.subarray(at, Math.min(at + CHUNK_BYTES, filled));
      return { content, sum: await checksumOf(content) };
    }),
  );
}
