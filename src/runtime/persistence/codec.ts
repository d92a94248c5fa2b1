import { hash } from "node:crypto";
import { promisify } from "node:util";
import { zstdCompress, zstdDecompress } from "node:zlib";
import { AgentVmError } from "../../api/errors.ts";
import { batches, entryBytes, MAX_STORE_VALUE_BYTES, type Store, type StoreEntry } from "../store.ts";
import { type Kind, keyOf, partOf } from "./keys.ts";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** A block is a byte that says how it is packed, a checksum of its content, and the content. */
const PLAIN = 0;
const ZSTD = 1;
export const CHECKSUM_BYTES = 16;
const HEAD_BYTES = 1 + CHECKSUM_BYTES;

/** No block of ours is larger: a corrupt one must not make the server allocate what it claims. */
const MAX_BLOCK_BYTES = 64 * 1024 * 1024;

/** Compressed where that makes it smaller. */
export async function encodeBlock(content: Uint8Array): Promise<Uint8Array> {
  const squeezed = await compress(content);
  const isSmaller = squeezed.length < content.length;
  const body = isSmaller ? squeezed : content;
  const block = new Uint8Array(HEAD_BYTES + body.length);
  block[0] = isSmaller ? ZSTD : PLAIN;
  block.set(checksum(content), 1);
  block.set(body, HEAD_BYTES);
  return block;
}

/** @throws Damage where the block is not what was written. */
export async function decodeBlock(block: Uint8Array): Promise<Uint8Array> {
  const content = await unpack(block);
  if (content === undefined || !Buffer.from(checksum(content)).equals(block.subarray(1, HEAD_BYTES))) {
    throw new Damage("a block is corrupt");
  }
  return content;
}

async function unpack(block: Uint8Array): Promise<Uint8Array | undefined> {
  const body = block.subarray(HEAD_BYTES);
  if (block[0] === PLAIN && block.length >= HEAD_BYTES) return body;
  if (block[0] !== ZSTD) return undefined;
  try {
    return await decompress(body, { maxOutputLength: MAX_BLOCK_BYTES });
  } catch {
    // Not what zstd has made: corrupt, which the caller tells.
    return undefined;
  }
}

/** What names a content: 128 bits of its SHA-256. */
export function checksum(content: Uint8Array): Buffer {
  return hash("sha256", content, "buffer").subarray(0, CHECKSUM_BYTES);
}

/** Something in the store is missing or not what was written. */
export class Damage extends Error {}

/** What the store holds cannot be read as the VM's files. */
export function storageDamaged(what: string, metadata: Record<string, unknown> = {}): AgentVmError {
  return new AgentVmError("storage_damaged", `The VM's stored files are damaged: ${what}`, metadata);
}

/** The entries of a value of any size: parts that the store takes. */
export function partsOf(kind: Kind, number: number, value: Uint8Array): StoreEntry[] {
  const entries: StoreEntry[] = [];
  for (let offset = 0; offset === 0 || offset < value.length; offset += MAX_STORE_VALUE_BYTES) {
    entries.push([
      partOf(kind, number, entries.length),
      value.subarray(offset, offset + MAX_STORE_VALUE_BYTES),
    ]);
  }
  return entries;
}

/** A value of any number of parts; `undefined` where there is none. */
export async function getParts(store: Store, kind: Kind, number: number): Promise<Uint8Array | undefined> {
  const entries = await store.list(`${keyOf(kind, number)}/`);
  return entries.length === 0 ? undefined : Buffer.concat(entries.map(([, value]) => value));
}

/** Puts any number of entries, batch by batch. */
export async function putAll(store: Store, entries: readonly StoreEntry[]): Promise<void> {
  for (const batch of batches(entries, entryBytes)) await store.put(batch);
}
