/**
 * File names of Linux are bytes, strings of JavaScript are not. A byte that is no UTF-8 becomes a lone surrogate
 * U+DC80 to U+DCFF, and back, as in Python: so that a recursive `delete` can remove what `tar` once unpacked. These
 * names are for this process alone; on the wire such a byte becomes U+FFFD.
 */
import { isUtf8 } from "node:buffer";

const REPLACEMENT = "\ufffd";
const ESCAPE_BASE = 0xdc00;
const MAX_SEQUENCE_BYTES = 4;

/** A name as Node reads it with the encoding `latin1`, one character a byte. */
export function decodeName(latin1: string): string {
  if (isAscii(latin1)) return latin1;
  const bytes = Buffer.from(latin1, "latin1");
  const text = bytes.toString("utf8");
  return text.includes(REPLACEMENT) ? escapeInvalid(bytes) : text;
}

/** What Node's fs takes for a name or a link's target: the string itself, or bytes where it has escapes. */
export function encodeName(name: string): string | Buffer {
  if (name.isWellFormed()) return name;
  const parts: Buffer[] = [];
  for (const char of name) {
    const byte = (char.codePointAt(0) ?? 0) - ESCAPE_BASE;
    parts.push(byte >= 0x80 && byte <= 0xff ? Buffer.from([byte]) : Buffer.from(char));
  }
  return Buffer.concat(parts);
}

function isAscii(latin1: string): boolean {
  for (let index = 0; index < latin1.length; index++) if (latin1.charCodeAt(index) > 0x7f) return false;
  return true;
}

function escapeInvalid(bytes: Buffer): string {
  let text = "";
  for (let offset = 0; offset < bytes.length; ) {
    const length = sequenceLength(bytes, offset);
    text +=
      length === 0
        ? String.fromCharCode(ESCAPE_BASE + (bytes[offset] ?? 0))
        : bytes.toString("utf8", offset, offset + length);
    offset += Math.max(length, 1);
  }
  return text;
}

/** Bytes of the UTF-8 sequence at an offset, 0 when there is none. */
function sequenceLength(bytes: Buffer, offset: number): number {
  for (let length = 1; length <= MAX_SEQUENCE_BYTES && offset + length <= bytes.length; length++)
    if (isUtf8(bytes.subarray(offset, offset + length))) return length;
  return 0;
}
