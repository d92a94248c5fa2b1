import { nameBytes } from "../sandbox/names.ts";
import { VM_UID, VM_USER } from "../sandbox/vm-layout.ts";

/**
 * Size of a tar block. This file writes tar headers itself, because tar-stream writes only UTF-8 names and times up to the
 * year 2038. File names of Linux are bytes.
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
  /** Name of the entry. The name of a directory ends with a slash. */
  name: string;
  type: keyof typeof TYPES;
  mode: number;
  mtimeMs: number;
  /** @default 0 */
  size?: number;
  /** Target of a symlink, or the first name of a hard link. */
  target?: string;
  /** Further pax records. */
  pax?: Readonly<Record<string, string>>;
}

/** End marker of an archive: two empty blocks. */
export const END_OF_TAR: Uint8Array = new Uint8Array(2 * BLOCK_BYTES);

/** End of a long name. */
const TERMINATOR = new Uint8Array(1);

/** Returns the number of bytes up to the next block. */
export function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
}

/**
 * Encodes an entry's header in a form that every tar reads. Long names and targets use GNU's form, which takes any bytes.
 * Fractions of a second use pax, because the plain form has only whole seconds.
 */
export function encodeHeader(header: TarHeader): Uint8Array {
  const name = nameBytes(header.name);
  const target = nameBytes(header.target ?? "");
  const parts: Uint8Array[] = [];
  const records = Object.entries(header.pax ?? {}).map(([key, value]) => paxRecord(key, value));
  if (header.mtimeMs % 1000 !== 0) records.push(paxRecord("mtime", paxTime(header.mtimeMs)));
  if (records.length > 0) parts.push(...extra(PAX, "pax", ...records));
  if (name.length > NAME_BYTES) parts.push(...extra(LONG_NAME, "././@LongLink", name, TERMINATOR));
  if (target.length > NAME_BYTES) parts.push(...extra(LONG_TARGET, "././@LongLink", target, TERMINATOR));
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
    // GNU tar stores sizes of 8 GiB and more in base 256.
    bytes[124] = 0x80;
    bytes.writeBigUInt64BE(BigInt(size), 128);
  }
  bytes.write(octal(seconds, 11), 136);
  bytes.write(type, 156);
  bytes.set(target.subarray(0, NAME_BYTES), 157);
  bytes.write("ustar\0" + "00", 257);
  bytes.write(VM_USER, 265);
  bytes.write(VM_USER, 297);
  // The checksum counts its own field as spaces.
  bytes.fill(" ", 148, 156);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${octal(sum, 6)}\0 `, 148);
  return bytes;
}

/** Encodes an extra entry that describes the next one, without copies of its content: a path may have a megabyte. */
function extra(type: string, name: string, ...content: readonly Uint8Array[]): Uint8Array[] {
  const size = content.reduce((sum, { length }) => sum + length, 0);
  const header = block({
    name: Buffer.from(name),
    target: new Uint8Array(),
    type,
    mode: 0o644,
    size,
    seconds: 0,
  });
  return [header, ...content, new Uint8Array(paddingOf(size))];
}

/** Encodes `LENGTH key=value\n`. The length includes its own digits. */
function paxRecord(key: string, value: string): Uint8Array {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), nameBytes(value), Buffer.from("\n")]);
  let length = rest.length + 1;
  while (length < rest.length + String(length).length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/**
 * Formats seconds with six decimals. Adds 0.2 microseconds and floors: a double of milliseconds is up to a quarter of a
 * microsecond off, and times that the server has set are half a microsecond late.
 */
function paxTime(milliseconds: number): string {
  const micros = Math.floor((milliseconds % 1000) * 1000 + 0.2);
  const seconds = Math.floor(milliseconds / 1000) + Math.floor(micros / 1_000_000);
  return `${seconds}.${String(micros % 1_000_000).padStart(6, "0")}`;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}
