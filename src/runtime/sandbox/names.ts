/**
 * Linux file names are bytes, and JavaScript strings are not. A byte that is not valid UTF-8 becomes a lone surrogate,
 * U+DC80 to U+DCFF, as in Python. So a recursive `delete` can remove any file that `tar` unpacked. These names exist
 * only in this process. On the wire such a byte becomes U+FFFD.
 */
import { isUtf8 } from "node:buffer";
import { randomBytes } from "node:crypto";

const REPLACEMENT = 0xfffd;
const ESCAPE_BASE = 0xdc00;

/** Decodes a name that Node has read with the encoding `latin1`, one character a byte. */
export function decodeName(latin1: string): string {
  if (isAscii(latin1)) return latin1;
  const bytes = Buffer.from(latin1, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : escapeInvalid(bytes);
}

/** Encodes a name or a link's target for Node's fs: as the string itself, or as bytes if it has escaped bytes. */
export function encodeName(name: string): string | Buffer {
  if (name.isWellFormed()) return name;
  const bytes = Buffer.allocUnsafe(3 * name.length);
  let end = 0;
  for (let index = 0; index < name.length; index++) {
    const code = name.codePointAt(index) ?? 0;
    if (code > 0xffff) index += 1;
    if (code >= ESCAPE_BASE + 0x80 && code <= ESCAPE_BASE + 0xff) bytes[end++] = code - ESCAPE_BASE;
    else end = putUtf8(bytes, end, code >= 0xd800 && code <= 0xdfff ? REPLACEMENT : code);
  }
  return bytes.subarray(0, end);
}

/** Writes a code point. @returns the offset behind it */
function putUtf8(bytes: Buffer, start: number, code: number): number {
  let at = start;
  if (code < 0x80) bytes[at++] = code;
  else {
    if (code < 0x800) bytes[at++] = 0xc0 | (code >> 6);
    else {
      if (code < 0x10000) bytes[at++] = 0xe0 | (code >> 12);
      else {
        bytes[at++] = 0xf0 | (code >> 18);
        bytes[at++] = 0x80 | ((code >> 12) & 0x3f);
      }
      bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
    }
    bytes[at++] = 0x80 | (code & 0x3f);
  }
  return at;
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
  const codes = new Uint16Array(bytes.length);
  let count = 0;
  for (let offset = 0; offset < bytes.length; ) {
    const length = sequenceLength(bytes, offset);
    const code = length === 0 ? ESCAPE_BASE + (bytes[offset] ?? 0) : codePoint(bytes, offset, length);
    if (code > 0xffff) codes[count++] = 0xd7c0 + (code >> 10);
    codes[count++] = code > 0xffff ? 0xdc00 | (code & 0x3ff) : code;
    offset += Math.max(length, 1);
  }
  return Buffer.from(codes.buffer, 0, 2 * count).toString("utf16le");
}

/** Returns the length of the UTF-8 sequence at an offset, or 0 if the bytes are not UTF-8. */
function sequenceLength(bytes: Buffer, offset: number): number {
  const first = bytes[offset] ?? 0;
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  // Longer forms of a character, surrogates and code points above U+10FFFF are not UTF-8.
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  const second = bytes[offset + 1] ?? 0;
  if (second < least || second > most) return 0;
  for (let index = 2; index < length; index++) if (((bytes[offset + index] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
}

/** Returns the code point of a UTF-8 sequence. */
function codePoint(bytes: Buffer, offset: number, length: number): number {
  if (length === 1) return bytes[offset] ?? 0;
  let code = (bytes[offset] ?? 0) & (0xff >> (length + 1));
  for (let index = 1; index < length; index++) code = (code << 6) | ((bytes[offset + index] ?? 0) & 0x3f);
  return code;
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
