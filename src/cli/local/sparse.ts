import { invalidArchive } from "./archive-error.ts";

/** Bytes of the largest map of a sparse file. */
const MAX_MAP_BYTES = 16 * 1024 * 1024;

const BLOCK_BYTES = 512;

/** Bytes and their place in a file. */
export interface PlacedBytes {
  at: number;
  data: Uint8Array;
}

/** Whether pax records describe a file with holes, in version 1.0 of GNU's form. */
export function isSparse(pax: Record<string, string>): boolean {
  return pax["GNU.sparse.major"] === "1" && pax["GNU.sparse.minor"] === "0";
}

/** Finds the place of each piece of a file with holes. The map of its parts is in front of their data. */
export async function* placeSparse(content: AsyncIterable<Uint8Array>): AsyncGenerator<PlacedBytes> {
  let head = Buffer.alloc(0);
  let parts: PlacedPart[] | undefined;
  for await (const piece of content) {
    let data: Uint8Array = piece;
    if (parts === undefined) {
      head = Buffer.concat([head, piece]);
      const map = readMap(head);
      if (map === undefined) {
        if (head.length > MAX_MAP_BYTES) throw invalidArchive("the map of a sparse file is too long");
        continue;
      }
      parts = map.parts;
      data = head.subarray(map.bytes);
    }
    while (data.byteLength > 0) {
      while (parts[0]?.bytes === 0) parts.shift();
      const [part] = parts;
      if (part === undefined) throw invalidArchive("a sparse file has more data than its map");
      const taken = data.subarray(0, part.bytes);
      yield { at: part.at, data: taken };
      part.at += taken.byteLength;
      part.bytes -= taken.byteLength;
      data = data.subarray(taken.byteLength);
    }
  }
  if (parts === undefined) throw invalidArchive("a sparse file has no map");
}

interface PlacedPart {
  at: number;
  bytes: number;
}

/** @returns `undefined` while the map is incomplete */
function readMap(head: Buffer): { parts: PlacedPart[]; bytes: number } | undefined {
  let at = 0;
  const next = (): number | undefined => {
    const end = head.indexOf("\n", at);
    if (end === -1) return undefined;
    const digits = head.toString("latin1", at, end);
    at = end + 1;
    if (!/^\d{1,16}$/.test(digits)) throw invalidArchive("the map of a sparse file is damaged");
    return Number(digits);
  };
  const count = next();
  if (count === undefined) return undefined;
  if (count > MAX_MAP_BYTES) throw invalidArchive("the map of a sparse file is too long");
  const parts: PlacedPart[] = [];
  for (let index = 0; index < count; index++) {
    const [start, bytes] = [next(), next()];
    if (start === undefined || bytes === undefined) return undefined;
    parts.push({ at: start, bytes });
  }
  const whole = Math.ceil(at / BLOCK_BYTES) * BLOCK_BYTES;
  return head.length < whole ? undefined : { parts, bytes: whole };
}
