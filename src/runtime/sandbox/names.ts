/**
 * Linux file names are bytes, and JavaScript strings are not. A byte that is not valid UTF-8 becomes a lone surrogate,
 * U+DC80 to U+DCFF, as in Python. So a recursive `delete` can remove any file that `tar` unpacked. These names exist
 * only in this process. On the wire such a byte becomes U+FFFD.
 */
import { isUtf8 } from "node:buffer";
import { randomBytes } from "node:crypto";

const REPLACEMENT = "\ufffd";
const ESCAPE_BASE = 0xdc00;
const MAX_SEQUENCE_BYTES = 4;

/** Decodes a name that Node has read with the encoding `latin1`, one character a byte. */
export function decodeName(latin1: string): string {
  if (isAscii(latin1)) return latin1;
  const bytes = Buffer.from(latin1, "latin1");
  const text = bytes.toString("utf8");
  return text.includes(REPLACEMENT) ? escapeInvalid(bytes) : text;
}

/** Encodes a name or a link's target for Node's fs: as the string itself, or as bytes if it has escaped bytes. */
export function encodeName(name: string): string | Buffer {
  if (name.isWellFormed()) return name;
  const parts: Buffer[] = [];
  for (const char of name) {
    const byte = (char.codePointAt(0) ?? 0) - ESCAPE_BASE;
    parts.push(byte >= 0x80 && byte <= 0xff ? Buffer.from([byte]) : Buffer.from(char));
  }
  return Buffer.concat(parts);
}

/** Encodes a name like `encodeName`, always as bytes. */
export function nameBytes(name: string): Buffer {
  const encoded = encodeName(name);
  return typeof encoded === "string" ? Buffer.from(encoded, "utf8") : encoded;
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

/** Returns the length of the UTF-8 sequence at an offset, or 0 if the bytes are not UTF-8. */
function sequenceLength(bytes: Buffer, offset: number): number {
  for (let length = 1; length <= MAX_SEQUENCE_BYTES && offset + length <= bytes.length; length++)
    if (isUtf8(bytes.subarray(offset, offset + length))) return length;
  return 0;
}

const TEMPORARY_PREFIX = ".agent-vm-";
const TEMPORARY_NAME = /^\.agent-vm-[0-9a-f]{24}$/;

/** Creates an unguessable name for a file that is not in place yet. No listing shows such names. */
export function temporaryName(): string {
  return TEMPORARY_PREFIX + randomBytes(12).toString("hex");
}

export function isTemporaryName(name: string): boolean {
  return name.startsWith(TEMPORARY_PREFIX) && TEMPORARY_NAME.test(name);
}
