/**
 * Sparse files in archives, in version 1.0 of GNU's form: a map of the parts with data is in front of the data of these parts.
 * The map has the number of parts, then offset and length of each, one number a line, in whole blocks.
 */

const NEWLINE = 0x0a;
const BLOCK_BYTES = 512;
const LONGEST_NUMBER = 16;

/** Whether pax records describe a sparse file of version 1.0. */
export function isSparse(pax: Readonly<Record<string, string>>): boolean {
  return pax["GNU.sparse.major"] === "1" && pax["GNU.sparse.minor"] === "0";
}

interface SparseLimits {
  /** Bytes of the longest map. */
  maxMapBytes: number;
  /** Makes the error for a damaged map. */
  damaged(): Error;
}

/** Decodes the content of a sparse file into its data and the lengths of its holes. */
export async function* sparseContent(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  pax: Readonly<Record<string, string>>,
  { maxMapBytes, damaged }: SparseLimits,
): AsyncGenerator<Uint8Array | { hole: number }> {
  const numberIn = (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value)) throw damaged();
    return value;
  };
  const size = numberIn(pax["GNU.sparse.realsize"] ?? "");
  const numbers: number[] = [];
  let digits = "";
  let mapBytes = 0;
  let padding: number | undefined;
  let position = 0;
  let at = 0;
  let left = 0;
  for await (const whole of content) {
    let read = 0;
    while (padding === undefined && read < whole.length) {
      const byte = whole[read++] as number;
      if (++mapBytes > maxMapBytes || digits.length > LONGEST_NUMBER) throw damaged();
      if (byte !== NEWLINE) {
        digits += String.fromCharCode(byte);
        continue;
      }
      numbers.push(numberIn(digits));
      digits = "";
      if (numbers.length === 1 + 2 * (numbers[0] as number)) padding = -mapBytes & (BLOCK_BYTES - 1);
    }
    const skipped = Math.min(padding ?? 0, whole.length - read);
    if (padding !== undefined) padding -= skipped;
    let piece = whole.subarray(read + skipped);
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
