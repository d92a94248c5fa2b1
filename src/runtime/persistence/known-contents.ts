import { Columns } from "../filesystem/columns.ts";
import type { Attribute, TreeNode } from "../sandbox/persistent-tree.ts";
import { CHUNK_MEMORY, type Chunk } from "./entries.ts";

/** Longest tick of the kernel's clock for file times: two changes within a tick may have equal times. */
const CLOCK_TICK_MS = 20;

/** Memory of the content of one inode without its chunks. */
const CONTENT_BYTES = 88;

const SETTLED = 1;
const HAS_ATTRIBUTES = 2;

const NO_CHUNKS: Chunk[] = [];
const NO_ATTRIBUTES: readonly Attribute[] = [];

/** Stored content of an inode, and its size and times when it was read. A directory has no chunks. */
export interface KnownContent {
  size: number;
  mtimeMs: number;
  ctimeMs: number;
  chunks: Chunk[];
  /** The inode was unchanged for so long that its times identify the content. */
  settled: boolean;
  /** `undefined` until they have been read. */
  attributes?: readonly Attribute[] | undefined;
}

/** Whether a file still has the known content. */
export function isUnchanged(known: KnownContent | undefined, node: TreeNode): known is KnownContent {
  return (
    known?.settled === true &&
    known.size === node.size &&
    known.mtimeMs === node.mtimeMs &&
    known.ctimeMs === node.ctimeMs
  );
}

/** Whether any later change gets another time than this one. */
export function isSettled(ctimeMs: number, nowMs: number): boolean {
  return ctimeMs < nowMs - CLOCK_TICK_MS;
}

/** Contents of a tree's inodes, in numbers. They are made into objects one by one. */
export class KnownContents {
  readonly #numbers = new Columns(Float64Array, ["ino", "size", "mtimeMs", "ctimeMs"]);
  readonly #flags = new Columns(Uint32Array, ["flags"]);
  readonly #chunks: Chunk[][] = [];
  #chunkCount = 0;
  /** Attributes of the few rows that have some. */
  readonly #attributes = new Map<number, readonly Attribute[]>();
  readonly #rows = new Map<number, number>();

  get length(): number {
    return this.#chunks.length;
  }

  /** Estimated bytes of memory. */
  get bytes(): number {
    return this.length * CONTENT_BYTES + this.#chunkCount * CHUNK_MEMORY;
  }

  /** Bytes of memory that a content without its chunks takes. */
  static readonly ROW_BYTES = CONTENT_BYTES;

  has(ino: number): boolean {
    return this.#rows.has(ino);
  }

  get(ino: number): KnownContent | undefined {
    const row = this.#rows.get(ino);
    return row === undefined ? undefined : this.at(row);
  }

  /** Sets the content of an inode. @returns its row */
  set(ino: number, content: KnownContent): number {
    const row = this.#rows.get(ino) ?? this.length;
    this.#rows.set(ino, row);
    const numbers = this.#numbers.reserve(row + 1);
    numbers.ino[row] = ino;
    numbers.size[row] = content.size;
    numbers.mtimeMs[row] = content.mtimeMs;
    numbers.ctimeMs[row] = content.ctimeMs;
    this.#flags.reserve(row + 1).flags[row] = content.settled ? SETTLED : 0;
    this.#chunkCount += content.chunks.length - (this.#chunks[row]?.length ?? 0);
    this.#chunks[row] = content.chunks.length === 0 ? NO_CHUNKS : content.chunks;
    this.setAttributes(row, content.attributes);
    return row;
  }

  at(row: number): KnownContent {
    const { size, mtimeMs, ctimeMs } = this.#numbers.all;
    return {
      size: size[row] as number,
      mtimeMs: mtimeMs[row] as number,
      ctimeMs: ctimeMs[row] as number,
      chunks: this.#chunks[row] ?? NO_CHUNKS,
      settled: this.#has(row, SETTLED),
      attributes: this.attributesOf(row),
    };
  }

  /** Attributes of a row. `undefined` until they have been read. */
  attributesOf(row: number): readonly Attribute[] | undefined {
    return this.#has(row, HAS_ATTRIBUTES) ? (this.#attributes.get(row) ?? NO_ATTRIBUTES) : undefined;
  }

  setAttributes(row: number, attributes: readonly Attribute[] | undefined): void {
    this.#mark(row, HAS_ATTRIBUTES, attributes !== undefined);
    if (attributes === undefined || attributes.length === 0) this.#attributes.delete(row);
    else this.#attributes.set(row, attributes);
  }

  /** The next checkpoint reads the inode of a row again. */
  unsettle(row: number): void {
    this.#mark(row, SETTLED, false);
  }

  /** Trusts all times that are old enough. */
  settle(nowMs: number): void {
    const { ctimeMs } = this.#numbers.all;
    for (let row = 0; row < this.length; row++)
      this.#mark(row, SETTLED, isSettled(ctimeMs[row] as number, nowMs));
  }

  #has(row: number, flag: number): boolean {
    return ((this.#flags.all.flags[row] as number) & flag) !== 0;
  }

  #mark(row: number, flag: number, value: boolean): void {
    const { flags } = this.#flags.all;
    const rest = (flags[row] as number) & ~flag;
    flags[row] = value ? rest | flag : rest;
  }
}
