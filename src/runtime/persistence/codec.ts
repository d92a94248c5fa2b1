import { hash } from "node:crypto";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { AgentVmError } from "../../api/errors.ts";
import { joined } from "../../base/bytes.ts";
import { type FileRecord, keyOf, partOf } from "../store/keys.ts";
import { cutValue, MAX_STORE_VALUE_BYTES, type Store, type StoreEntry } from "../store/store.ts";

const compress = promisify(zlib.zstdCompress);
const decompress = promisify(zlib.zstdDecompress);

/**
 * A block is a byte for its kind, a CRC-32 of the content, and the content. A block of format 2 or before has the start of a SHA-256
 * instead, which takes 30 times as long.
 */
const PLAIN = 2;
const ZSTD = 3;
const CRC_BYTES = 4;
export const BLOCK_HEAD_BYTES = 1 + CRC_BYTES;
const HASHED_PLAIN = 0;
const HASHED_ZSTD = 1;
export const CHECKSUM_BYTES = 16;
const HASHED_HEAD_BYTES = 1 + CHECKSUM_BYTES;

/** Largest content of a block. A corrupt block must not make the server allocate more. */
const MAX_BLOCK_BYTES = 64 * 1024 * 1024;

/** Content above this size is hashed and tried in another thread. */
const LARGE_BYTES = 64 * 1024;

/** Content up to this size is compressed in this thread, which takes up to 0.2 ms. To ask another one takes 0.1 ms more. */
const SMALL_BYTES = 16 * 1024;

/** Content up to this size is unpacked in this thread, which takes 0.1 ms at most. Another one may be busy with the disk. */
const MAX_UNPACKED_HERE = 32 * 1024;

/** Bytes that tell whether content can be compressed at all: from the middle, because many formats begin with a legible head. */
const SAMPLE_BYTES = 4 * 1024;

/** Bits in a byte of packed or encrypted content: a sample of random bytes has 7.95, text 5 and programs 6. */
const PACKED_BITS = 7.9;

/** Encodes a block, compressed if that makes it smaller. */
export async function encodeBlock(content: Uint8Array): Promise<Uint8Array> {
  const room = new Uint8Array(BLOCK_HEAD_BYTES + content.length);
  room.set(content, BLOCK_HEAD_BYTES);
  return await encodeBlockIn(room);
}

/** Like `encodeBlock`, without a copy. @param room BLOCK_HEAD_BYTES for the head, and the content. A block that is not compressed is the room */
export async function encodeBlockIn(room: Uint8Array): Promise<Uint8Array> {
  const content = room.subarray(BLOCK_HEAD_BYTES);
  const squeezed = await compressed(content);
  const isSmaller = squeezed !== undefined && squeezed.length < content.length;
  const block = isSmaller ? new Uint8Array(BLOCK_HEAD_BYTES + squeezed.length) : room;
  block[0] = isSmaller ? ZSTD : PLAIN;
  new DataView(block.buffer, block.byteOffset).setUint32(1, zlib.crc32(content));
  if (isSmaller) block.set(squeezed, BLOCK_HEAD_BYTES);
  return block;
}

/** @returns `undefined` for large content whose samples look random, such as media and archives */
async function compressed(content: Uint8Array): Promise<Uint8Array | undefined> {
  if (content.length <= SMALL_BYTES)
    return zlib.zstdCompressSync(content, {
      chunkSize: Math.max(content.length, zlib.constants.Z_MIN_CHUNK),
    });
  if (content.length > LARGE_BYTES) {
    const isPacked = [1, 2, 3].every((quarter) => {
      const start = Math.floor((content.length / 4) * quarter);
      return bitsPerByte(content.subarray(start, start + SAMPLE_BYTES)) > PACKED_BITS;
    });
    if (isPacked) return undefined;
  }
  return await compress(content);
}

/** The entropy of content, by how often it has each byte. To compress a sample takes longer, and keeps the garbage collector busy. */
function bitsPerByte(content: Uint8Array): number {
  const counts = new Uint16Array(256);
  for (const byte of content) counts[byte] = (counts[byte] as number) + 1;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= count * Math.log2(count / content.length);
  return bits / content.length;
}

/** @throws Damage if the block is corrupt */
export async function decodeBlock(block: Uint8Array): Promise<Uint8Array> {
  const kind = block[0];
  const isHashed = kind === HASHED_PLAIN || kind === HASHED_ZSTD;
  const start = isHashed ? HASHED_HEAD_BYTES : BLOCK_HEAD_BYTES;
  const sum = Buffer.from(block.buffer, block.byteOffset, block.byteLength).subarray(1, start);
  const content = sum.length < start - 1 ? undefined : await unpack(kind, block.subarray(start));
  const isWhole =
    content !== undefined &&
    (isHashed ? checksum(content).equals(sum) : zlib.crc32(content) === sum.readUInt32BE());
  if (!isWhole) throw new Damage("a block is corrupt");
  return content;
}

async function unpack(kind: number | undefined, body: Uint8Array): Promise<Uint8Array | undefined> {
  if (kind === PLAIN || kind === HASHED_PLAIN) return body;
  if (kind !== ZSTD && kind !== HASHED_ZSTD) return undefined;
  try {
    if (body.length <= SMALL_BYTES)
      return zlib.zstdDecompressSync(body, {
        maxOutputLength: MAX_UNPACKED_HERE,
        chunkSize: Math.max(4 * body.length, zlib.constants.Z_MIN_CHUNK),
      });
  } catch {
    // Corrupt, or larger: the other thread finds out.
  }
  try {
    return await decompress(body, { maxOutputLength: MAX_BLOCK_BYTES });
  } catch {
    // Corrupt. The caller throws.
    return undefined;
  }
}

/** Identifies content: the first 128 bits of its SHA-256. */
export function checksum(content: Uint8Array): Buffer {
  return hash("sha256", content, "buffer").subarray(0, CHECKSUM_BYTES);
}

/** Like `checksum`. Large content is hashed in another thread. */
export async function checksumOf(content: Uint8Array): Promise<Uint8Array> {
  if (content.length <= LARGE_BYTES) return checksum(content);
  // The type excludes shared memory, which the runtime never passes.
  const digest = await crypto.subtle.digest("SHA-256", content as Uint8Array<ArrayBuffer>);
  return new Uint8Array(digest, 0, CHECKSUM_BYTES);
}

/** A record of the store is missing or corrupt. */
export class Damage extends Error {}

/** The error for a store that cannot be read as the VM's files. */
export function storageDamaged(what: string, metadata: Record<string, unknown> = {}): AgentVmError {
  return new AgentVmError("storage_damaged", `The VM's stored files are damaged: ${what}`, metadata);
}

/** The error for a change of a VM whose files could not be restored whole. */
export function filesReadOnly({ message, metadata }: AgentVmError): AgentVmError {
  return new AgentVmError("files_read_only", `The VM's files are read-only. ${message}`, metadata ?? {});
}

export function isStorageDamaged(error: unknown): error is AgentVmError {
  return error instanceof AgentVmError && error.code === "storage_damaged";
}

/** Cuts a value of any size into parts that the store takes. */
export function partsOf(kind: FileRecord, number: number, value: Uint8Array): StoreEntry[] {
  return cutValue(value, MAX_STORE_VALUE_BYTES, (part) => partOf(kind, number, part));
}

/** Reads a value of any number of parts. @returns `undefined` if it is missing */
export async function getParts(
  store: Store,
  kind: FileRecord,
  number: number,
): Promise<Uint8Array | undefined> {
  const entries = await store.list(`${keyOf(kind, number)}/`);
  return entries.length === 0 ? undefined : joined(entries.map(([, value]) => value));
}

/** Reads values of one kind together, like `getParts`. Large values take a request each. */
export async function getValues(
  store: Store,
  kind: FileRecord,
  numbers: readonly number[],
): Promise<(Uint8Array | undefined)[]> {
  const firsts = await store.get(numbers.map((number) => partOf(kind, number, 0)));
  const isWhole = (first: Uint8Array | undefined) =>
    first === undefined || first.length < MAX_STORE_VALUE_BYTES;
  return await Promise.all(
    numbers.map((number, index) => (isWhole(firsts[index]) ? firsts[index] : getParts(store, kind, number))),
  );
}
