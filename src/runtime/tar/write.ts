import { encodeName } from "../sandbox/kernel/rooted/names.ts";
import { VM_UID, VM_USER } from "../sandbox/sandbox.ts";

/**
 * Headers of a tar archive. tar-stream, which reads them, writes names as UTF-8 only, and times up to the year 2038;
 * file names of Linux are bytes.
 */
const BLOCK_BYTES = 512;

const NAME_BYTES = 100;
const MAX_OCTAL_SIZE = 0o77777777777;
const MAX_OCTAL_TIME_S = 0o77777777777;

const TYPES = { file: "0", link: "1", symlink: "2", directory: "5" } as const;
const PAX = "x";
const LONG_NAME = "L";
const LONG_TARGET = "K";

export interface TarHeader {
  /** A directory's ends with a slash. */
  name: string;
  type: keyof typeof TYPES;
  mode: number;
  mtimeMs: number;
  /** @default 0 */
  size?: number;
  /** Target of a symlink, or the first name of a hard link. */
  target?: string;
}

/** The end of an archive. */
export const END_OF_TAR: Uint8Array = new Uint8Array(2 * BLOCK_BYTES);

/** Bytes up to the next block. */
export function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

/**
 * An entry's header, as every tar understands it: long names and targets in GNU's form, which takes any bytes, and the
 * part of a second that the plain form has no room for in pax's.
 */
export function encodeHeader(header: TarHeader): Uint8Array {
  const name = bytesOf(header.name);
  const target = bytesOf(header.target ?? "");
  const parts: Uint8Array[] = [];
  if (header.mtimeMs % 1000 !== 0) parts.push(extra(PAX, "pax", paxRecord("mtime", paxTime(header.mtimeMs))));
  if (name.length > NAME_BYTES) parts.push(extra(LONG_NAME, "././@LongLink", terminated(name)));
  if (target.length > NAME_BYTES) parts.push(extra(LONG_TARGET, "././@LongLink", terminated(target)));
  const seconds = Math.min(Math.max(Math.floor(header.mtimeMs / 1000), 0), MAX_OCTAL_TIME_S);
  parts.push(block({ ...header, name, target, type: TYPES[header.type], size: header.size ?? 0, seconds }));
  return Buffer.concat(parts);
}

interface Block {
  name: Uint8Array;
  target: Uint8Array;
  type: string;
  mode: number;
  size: number;
  seconds: number;
}

function block({ name, target, type, mode, size, seconds }: Block): Uint8Array {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  bytes.set(name.subarray(0, NAME_BYTES), 0);
  bytes.write(octal(mode, 7), 100);
  bytes.write(octal(VM_UID, 7), 108);
  bytes.write(octal(VM_UID, 7), 116);
  if (size <= MAX_OCTAL_SIZE) bytes.write(octal(size, 11), 124);
  else {
    // Above 8 GiB in base 256, as GNU has it.
    bytes[124] = 0x80;
    bytes.writeBigUInt64BE(BigInt(size), 128);
  }
  bytes.write(octal(seconds, 11), 136);
  bytes.write(type, 156);
  bytes.set(target.subarray(0, NAME_BYTES), 157);
  bytes.write("ustar\0" + "00", 257);
  bytes.write(VM_USER, 265);
  bytes.write(VM_USER, 297);
  // The checksum counts itself as spaces.
  bytes.fill(" ", 148, 156);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${octal(sum, 6)}\0 `, 148);
  return bytes;
}

/** An entry that says something about the next one. */
function extra(type: string, name: string, content: Uint8Array): Uint8Array {
  const header = block({
    name: Buffer.from(name),
    target: new Uint8Array(),
    type,
    mode: 0o644,
    size: content.length,
    seconds: 0,
  });
  return Buffer.concat([header, content, new Uint8Array(paddingOf(content.length))]);
}

/** `LENGTH key=value\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Uint8Array {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (length < rest.length + String(length).length) length += 1;
  return Buffer.from(`${length}${rest}`);
}

/**
 * Seconds with six digits after the point. A time in milliseconds is a double, which is a quarter of a microsecond off;
 * and one that we have set is half a microsecond later than it reads.
 */
function paxTime(milliseconds: number): string {
  const micros = Math.floor((milliseconds % 1000) * 1000 + 0.2);
  const seconds = Math.floor(milliseconds / 1000) + Math.floor(micros / 1_000_000);
  return `${seconds}.${String(micros % 1_000_000).padStart(6, "0")}`;
}

function terminated(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, new Uint8Array(1)]);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

function bytesOf(name: string): Uint8Array {
  const encoded = encodeName(name);
  return typeof encoded === "string" ? Buffer.from(encoded, "utf8") : encoded;
}
