import type { DataPart, TreeFile } from "../sandbox/persistent-tree.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import { paddingOf } from "./write.ts";

/** Writes sparse files in the form that `base/sparse-map.ts` reads. */

/** Memory of a part. */
const PART_BYTES = 100;

export const SPARSE_NAME = "GNU.sparse.name";
const SPARSE_SIZE = "GNU.sparse.realsize";

/** Lists the parts of a file with data. @returns `undefined` for a file without holes */
export async function partsOf(
  file: TreeFile,
  size: number,
  account: TreeAccount,
): Promise<DataPart[] | undefined> {
  const parts: DataPart[] = [];
  for (let offset = 0; offset < size; ) {
    const found = await file.parts(offset);
    if (found.length === 0) break;
    for (const { start, end } of found) {
      if (start >= size) break;
      account.charge(PART_BYTES);
      parts.push({ start, end: Math.min(end, size) });
    }
    offset = found.at(-1)?.end ?? size;
  }
  return parts.length === 1 && parts[0]?.start === 0 && parts[0].end === size ? undefined : parts;
}

/** The pax records of a sparse file. */
export function sparseRecords(name: string, size: number): Record<string, string> {
  return {
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    [SPARSE_NAME]: name,
    [SPARSE_SIZE]: String(size),
  };
}

/** Encodes the map of a sparse file in whole blocks. */
export function encodeMap(parts: readonly DataPart[], size: number): Uint8Array {
  // GNU tar sets the size by a part without data at the end.
  const all = parts.at(-1)?.end === size ? parts : [...parts, { start: size, end: size }];
  const lines = Buffer.from(
    `${all.length}\n${all.map(({ start, end }) => `${start}\n${end - start}\n`).join("")}`,
  );
  return Buffer.concat([lines, Buffer.alloc(paddingOf(lines.length))]);
}
