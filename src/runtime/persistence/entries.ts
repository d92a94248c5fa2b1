import { z } from "zod";
import type { Attribute, TreePlace } from "../sandbox/persistent-tree.ts";
import type { Steps, StepWriter } from "../sandbox/tree-path.ts";
import { encodeJson, tryDecodeJson } from "../store/store.ts";
import { Damage } from "./codec.ts";

/** A piece of content, or a hole: its pack, and its range of the unpacked bytes. */
export interface Chunk {
  pack: number;
  offset: number;
  length: number;
  /** Checksum of the content, in base64url. */
  hash: string;
}

/** Pack number of a hole, which has no content. */
const HOLE = -1;

export const holeChunk = (length: number): Chunk => ({ pack: HOLE, offset: 0, length, hash: "" });
export const isHole = ({ pack }: Chunk): boolean => pack === HOLE;

interface EntryBase {
  place: TreePlace;
  mode: number;
  mtimeMs: number;
}

export interface FileEntry extends EntryBase {
  type: "file";
  size: number;
  chunks: Chunk[];
  /** Files with an equal number are hard links to one file. */
  links?: number;
  attributes?: readonly Attribute[];
}

export interface DirectoryEntry extends EntryBase {
  type: "directory";
  attributes?: readonly Attribute[];
}

interface SymlinkEntry extends EntryBase {
  type: "symlink";
  target: string;
}

/** A file, directory or link of a VM's tree, as a checkpoint stores it. */
export type TreeEntry = FileEntry | DirectoryEntry | SymlinkEntry;

/** Memory of an entry without its name, and of one chunk. */
const ENTRY_MEMORY = 360;
export const CHUNK_MEMORY = 200;

/** Estimates the bytes of memory that an entry takes. */
export function entryMemory(entry: TreeEntry): number {
  const chunks = entry.type === "file" ? entry.chunks.length * CHUNK_MEMORY : 0;
  return ENTRY_MEMORY + 2 * entry.place.name.length + chunks;
}

/** See StepWriter. */
const stepSchema = z.string().regex(/^\d*\/[^\0]+$/);
const integer = z.int().nonnegative();
const chunkSchema = z.tuple([z.int().min(HOLE), integer, integer, z.string()]);
/** Name and value in base64. */
const attributesSchema = z.array(z.tuple([z.string(), z.base64()]));
/** Rows by their first field. A union would try one form after the other for each row of a large tree. */
const ROW_SCHEMAS = {
  d: z.tuple([z.literal("d"), stepSchema, integer, z.number(), attributesSchema.optional()]),
  l: z.tuple([z.literal("l"), stepSchema, integer, z.number(), z.string()]),
  f: z.tuple([
    z.literal("f"),
    stepSchema,
    integer,
    z.number(),
    integer,
    z.array(chunkSchema),
    integer.nullable().optional(),
    attributesSchema.optional(),
  ]),
};
export type Row = z.infer<(typeof ROW_SCHEMAS)[keyof typeof ROW_SCHEMAS]>;

/** Encodes a page: a JSON array of rows. */
export function encodeRows(rows: readonly Row[]): Uint8Array {
  return encodeJson(rows);
}

/**
 * Decodes a page.
 *
 * @param steps has read the page before it
 * @throws Damage for bytes that `encodeRows` did not write
 */
export function decodeEntries(bytes: Uint8Array, steps: Steps): TreeEntry[] {
  const rows = tryDecodeJson(bytes);
  if (!Array.isArray(rows)) throw unknownForm();
  return rows.map((row: unknown) => fromRow(checkedRow(row), steps));
}

function checkedRow(row: unknown): Row {
  const kind: unknown = Array.isArray(row) ? row[0] : undefined;
  if (kind !== "d" && kind !== "l" && kind !== "f") throw unknownForm();
  const checked = ROW_SCHEMAS[kind].safeParse(row);
  if (!checked.success) throw unknownForm();
  return checked.data;
}

function unknownForm(): Damage {
  return new Damage("a page has rows of an unknown form");
}

/** An entry without the names of its fields. */
export function rowOf(entry: TreeEntry, steps: StepWriter): Row {
  const { place, mode, mtimeMs } = entry;
  const path = steps.stepTo(place);
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

function fromRow(row: Row, steps: Steps): TreeEntry {
  const [kind, step, mode, mtimeMs] = row;
  const place = steps.placeOf(step);
  if (place === undefined) throw new Damage("a page lacks the page before it");
  if (kind === "l") return { type: "symlink", place, mode, mtimeMs, target: row[4] };
  if (kind === "d") return { type: "directory", place, mode, mtimeMs, ...attributesOf(row[4]) };
  const chunks = row[5].map(([pack, offset, length, hash]) => ({ pack, offset, length, hash }));
  const links = row[6] ?? undefined;
  return {
    type: "file",
    place,
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
