import type { DataPart, Hole, TreeContent, TreeFile } from "../sandbox/persistent-tree.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import { type ArchiveContent, invalidArchive } from "./entry.ts";
import { MAX_ARCHIVE_HEADER_BYTES } from "./limits.ts";
import { paddingOf } from "./write.ts";

/** Sparse files in version 1.0 of GNU's form: a map of the parts with data is in front of the data of these parts. */

const NEWLINE = 0x0a;
const LONGEST_NUMBER = 16;

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

/** Whether pax records describe a sparse file of version 1.0. */
export function isSparse(pax: Readonly<Record<string, string>>): boolean {
  return pax["GNU.sparse.major"] === "1" && pax["GNU.sparse.minor"] === "0" && pax[SPARSE_NAME] !== undefined;
}

/** Decodes the content of a sparse file. @throws AgentVmError `invalid_archive` */
export async function* sparseContent(
  content: ArchiveContent,
  pax: Readonly<Record<string, string>>,
): TreeContentIterator {
  const size = numberIn(pax[SPARSE_SIZE] ?? "");
  const numbers: number[] = [];
  let position = 0;
  let digits = "";
  let mapBytes = 0;
  let padding: number | undefined;
  let at = 0;
  let left = 0;
  for await (const whole of content) {
    let piece = whole;
    while (padding === undefined && piece.length > 0) {
      const byte = piece[0] as number;
      piece = piece.subarray(1);
      if (++mapBytes > MAX_ARCHIVE_HEADER_BYTES || digits.length > LONGEST_NUMBER) throw damaged();
      if (byte !== NEWLINE) {
        digits += String.fromCharCode(byte);
        continue;
      }
      numbers.push(numberIn(digits));
      digits = "";
      if (numbers.length === 1 + 2 * (numbers[0] as number)) padding = paddingOf(mapBytes);
    }
    const skipped = Math.min(padding ?? 0, piece.length);
    if (padding !== undefined) padding -= skipped;
    piece = piece.subarray(skipped);
    while (piece.length > 0) {
      if (left === 0) {
        const start = numbers[1 + at];
        left = numbers[2 + at] ?? 0;
        at += 2;
        if (start === undefined || start < position || start + left > size) throw damaged();
        if (start > position) yield { hole: start - position };
        position = start;
        if (left === 0) continue;
      }
      const part = piece.subarray(0, left);
      yield part;
      position += part.length;
      left -= part.length;
      piece = piece.subarray(part.length);
    }
  }
  if (padding === undefined || left > 0) throw damaged();
  if (size > position) yield { hole: size - position };
}

type TreeContentIterator = AsyncGenerator<Uint8Array | Hole> & TreeContent;

function numberIn(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw damaged();
  return value;
}

const damaged = (): Error => invalidArchive("it has a sparse file with a damaged map");
