import { pause } from "../base/pace.ts";

const REPLACEMENT = 0xfffd;

/** Escapes that take as long as that of half a surrogate pair, which file names of other bytes than text consist of. */
const SURROGATE_ESCAPES = 8;

/** Characters that are counted without a look at the time: less than a millisecond. */
const SLICE_CHARS = 64 * 1024;

/** Size of a value as JSON. */
interface JsonSize {
  /** Bytes of the JSON, without brackets and commas. */
  bytes: number;
  /**
   * Characters of its texts that JSON writes as escapes. The character in place of bytes that are no text counts twice, and half a
   * surrogate pair SURROGATE_ESCAPES times: they take as long.
   */
  escapes: number;
}

/**
 * Measures a value as RivetKit 2.2 writes it as JSON, without encoding it. Yields to the event loop in between, and stops when the
 * value is above a limit.
 */
export async function jsonSize(value: unknown, most: JsonSize): Promise<JsonSize> {
  const size: JsonSize = { bytes: 0, escapes: 0 };
  let counted = 0;
  for (const part of partsOf(value)) {
    if (typeof part !== "string") {
      size.bytes += part;
      continue;
    }
    for (let offset = 0; offset < part.length; offset += SLICE_CHARS) {
      const end = Math.min(part.length, offset + SLICE_CHARS);
      count(part, offset, end, size);
      counted += end - offset;
      if (size.bytes > most.bytes || size.escapes > most.escapes) return size;
      const turn = counted > SLICE_CHARS ? pause() : null;
      if (turn === null) continue;
      await turn;
      counted = 0;
    }
  }
  return size;
}

/** Yields the texts in a value, and the bytes of everything else. */
function* partsOf(value: unknown): Generator<string | number> {
  if (typeof value === "string") yield value;
  else if (typeof value !== "object" || value === null) yield 5;
  else if (value instanceof Uint8Array || value instanceof ArrayBuffer)
    yield Math.ceil(value.byteLength / 3) * 4;
  else if (Array.isArray(value)) for (const item of value) yield* partsOf(item);
  else {
    for (const [key, item] of Object.entries(value)) {
      yield key;
      yield* partsOf(item);
    }
  }
}

function count(text: string, from: number, to: number, size: JsonSize): void {
  let { bytes, escapes } = size;
  for (let index = from; index < to; index++) {
    const unit = text.charCodeAt(index);
    if (unit >= 0x80) {
      const isLone = (unit & 0xf800) === 0xd800 && !isPaired(text, index, unit);
      bytes += isLone ? 6 : unit < 0x800 ? 2 : 3;
      if (isLone) escapes += SURROGATE_ESCAPES;
      else if (unit === REPLACEMENT) escapes += 2;
    } else if (unit >= 0x20 && unit !== 0x22 && unit !== 0x5c) bytes += 1;
    else {
      escapes += 1;
      bytes += unit >= 0x20 || SHORT_ESCAPES.has(unit) ? 2 : 6;
    }
  }
  size.bytes = bytes;
  size.escapes = escapes;
}

/** Whether a surrogate is part of a pair, which JSON writes as it is. */
function isPaired(text: string, index: number, unit: number): boolean {
  return unit < 0xdc00
    ? (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00
    : (text.charCodeAt(index - 1) & 0xfc00) === 0xd800;
}

/** Control characters with an escape of two characters: backspace, tab, line feed, form feed, carriage return. */
const SHORT_ESCAPES = new Set([8, 9, 10, 12, 13]);
