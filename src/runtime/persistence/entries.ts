import { z } from "zod";
import type { Attribute } from "../sandbox/persistent-tree.ts";
import { decodeJson, encodeJson } from "../store.ts";
import { Damage } from "./codec.ts";

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
  attributes?: readonly Attribute[];
}

export interface DirectoryEntry extends Common {
  type: "directory";
  attributes?: readonly Attribute[];
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
/** Name and value in base64. */
const attributesSchema = z.array(z.tuple([z.string(), z.base64()]));
const rowSchema = z.union([
  z.tuple([z.literal("d"), pathSchema, integer, z.number()]),
  z.tuple([z.literal("d"), pathSchema, integer, z.number(), attributesSchema]),
  z.tuple([z.literal("l"), pathSchema, integer, z.number(), z.string()]),
  z.tuple([z.literal("f"), pathSchema, integer, z.number(), integer, z.array(chunkSchema)]),
  z.tuple([z.literal("f"), pathSchema, integer, z.number(), integer, z.array(chunkSchema), integer]),
  z.tuple([
    z.literal("f"),
    pathSchema,
    integer,
    z.number(),
    integer,
    z.array(chunkSchema),
    integer.nullable(),
    attributesSchema,
  ]),
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
  if (entry.type === "symlink") return ["l", path, mode, mtimeMs, entry.target];
  const attributes = entry.attributes?.map(({ name, value }): [string, string] => [
    name,
    Buffer.from(value).toString("base64"),
  ]);
  if (entry.type === "directory") {
    return attributes === undefined ? ["d", path, mode, mtimeMs] : ["d", path, mode, mtimeMs, attributes];
  }
  const { size, links } = entry;
  const chunks = entry.chunks.map(({ pack, offset, length, hash }): [number, number, number, string] => [
    pack,
    offset,
    length,
    hash,
  ]);
  if (attributes !== undefined) return ["f", path, mode, mtimeMs, size, chunks, links ?? null, attributes];
  return links === undefined
    ? ["f", path, mode, mtimeMs, size, chunks]
    : ["f", path, mode, mtimeMs, size, chunks, links];
}

function fromRow(row: Row): Entry {
  const [kind, path, mode, mtimeMs] = row;
  if (kind === "l") return { type: "symlink", path, mode, mtimeMs, target: row[4] };
  if (kind === "d") return { type: "directory", path, mode, mtimeMs, ...attributesOf(row[4]) };
  const chunks = row[5].map(([pack, offset, length, hash]) => ({ pack, offset, length, hash }));
  const links = row[6] ?? undefined;
  return {
    type: "file",
    path,
    mode,
    mtimeMs,
    size: row[4],
    chunks,
    ...(links !== undefined && { links }),
    ...attributesOf(row[7]),
  };
}

function attributesOf(rows: [string, string][] | undefined): { attributes?: Attribute[] } {
  if (rows === undefined) return {};
  return { attributes: rows.map(([name, value]) => ({ name, value: Buffer.from(value, "base64") })) };
}
