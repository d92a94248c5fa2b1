import { z } from "zod";
import { Damage, decodeJson, encodeJson } from "./codec.ts";

/** Where a piece of content lies: a pack, and a place in its unpacked bytes. */
export interface Chunk {
  pack: number;
  offset: number;
  length: number;
  /** Names the content; base64url of its checksum. */
  hash: string;
}

interface Common {
  /** Absolute and normalized. */
  path: string;
  mode: number;
  mtimeMs: number;
}

export interface FileEntry extends Common {
  type: "file";
  size: number;
  chunks: Chunk[];
  /** Files with the same number are one file with several names. */
  links?: number;
}

export interface DirectoryEntry extends Common {
  type: "directory";
}

export interface SymlinkEntry extends Common {
  type: "symlink";
  target: string;
}

/** One name of a VM's tree, as a checkpoint keeps it. */
export type Entry = FileEntry | DirectoryEntry | SymlinkEntry;

const pathSchema = z.string().regex(/^\/[^\0]+$/);
const integer = z.int().nonnegative();
const chunkSchema = z.tuple([integer, integer, integer, z.string()]);
const rowSchema = z.union([
  z.tuple([z.literal("d"), pathSchema, integer, z.number()]),
  z.tuple([z.literal("l"), pathSchema, integer, z.number(), z.string()]),
  z.tuple([z.literal("f"), pathSchema, integer, z.number(), integer, z.array(chunkSchema)]),
  z.tuple([z.literal("f"), pathSchema, integer, z.number(), integer, z.array(chunkSchema), integer]),
]);
type Row = z.infer<typeof rowSchema>;

/** A page is a JSON array of rows, each an entry without names for its fields. */
export function encodeEntries(entries: readonly Entry[]): Uint8Array {
  return encodeJson(entries.map(toRow));
}

/** @throws Damage for what encodeEntries has not written. */
export function decodeEntries(bytes: Uint8Array): Entry[] {
  let rows: unknown;
  try {
    rows = decodeJson(bytes);
  } catch {
    throw new Damage("a page is no JSON");
  }
  const checked = z.array(rowSchema).safeParse(rows);
  if (!checked.success) throw new Damage("a page has rows of an unknown form");
  return checked.data.map(fromRow);
}

function toRow(entry: Entry): Row {
  const { path, mode, mtimeMs } = entry;
  if (entry.type === "directory") return ["d", path, mode, mtimeMs];
  if (entry.type === "symlink") return ["l", path, mode, mtimeMs, entry.target];
  const chunks = entry.chunks.map(({ pack, offset, length, hash }): [number, number, number, string] => [
    pack,
    offset,
    length,
    hash,
  ]);
  return entry.links === undefined
    ? ["f", path, mode, mtimeMs, entry.size, chunks]
    : ["f", path, mode, mtimeMs, entry.size, chunks, entry.links];
}

function fromRow(row: Row): Entry {
  const [kind, path, mode, mtimeMs] = row;
  if (kind === "d") return { type: "directory", path, mode, mtimeMs };
  if (kind === "l") return { type: "symlink", path, mode, mtimeMs, target: row[4] };
  const chunks = row[5].map(([pack, offset, length, hash]) => ({ pack, offset, length, hash }));
  const file: FileEntry = { type: "file", path, mode, mtimeMs, size: row[4], chunks };
  return row.length === 7 ? { ...file, links: row[6] } : file;
}
