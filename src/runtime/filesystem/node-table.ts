import { pause } from "../../base/pace.ts";
import { sortKeys } from "../../base/sort.ts";
import { decodeName, encodeName } from "../sandbox/names.ts";
import type { TreeNode, TreePlace } from "../sandbox/persistent-tree.ts";
import { placeIn, ROOT } from "../sandbox/tree-path.ts";
import { Columns } from "./columns.ts";

export type ScannedNode = TreeNode & TreePlace;

/** Row of the topmost directory, which has no row of its own. */
export const TOP = -1;

/** Bytes of a full buffer for names, and of the first one. No name lies in two buffers. */
const NAMES_BYTES = 1024 * 1024;
const FIRST_NAMES_BYTES = 4096;

/** Memory of a row without its name. */
const ROW_BYTES = 64;

const TYPES = ["file", "directory", "symlink", "other"] as const;
const TYPE_BITS = 2;
/** The name is ASCII, and needs no decoder. */
const ASCII = 1 << TYPE_BITS;
const MODE_SHIFT = TYPE_BITS + 1;

/**
 * Nodes of a tree in numbers and bytes. As objects they would take five times the memory, which the garbage collector would
 * have to visit. Rows are made into objects one by one.
 */
export class NodeTable {
  readonly top: TreePlace;
  readonly #numbers = new Columns(Float64Array, ["size", "mtimeMs", "ctimeMs", "ino"]);
  readonly #counts = new Columns(Uint32Array, ["parent", "depth", "nlink", "bits", "nameAt", "nameBytes"]);
  readonly #names: Buffer[] = [];
  #namesEnd = NAMES_BYTES;
  #allNamesBytes = 0;
  #length = 0;
  /** Directories from the top, without it, to the one that was asked for last. */
  readonly #way: { row: number; place: TreePlace }[] = [];

  constructor(top: TreePlace = ROOT) {
    this.top = top;
  }

  get length(): number {
    return this.#length;
  }

  /** Estimated bytes of memory. */
  get bytes(): number {
    return this.#length * ROW_BYTES + this.#allNamesBytes;
  }

  /** Adds a node. @param parent row of its directory @returns its row */
  add(node: TreeNode, parent: number): number {
    const row = this.#length++;
    const numbers = this.#numbers.reserve(this.#length);
    numbers.size[row] = node.size;
    numbers.mtimeMs[row] = node.mtimeMs;
    numbers.ctimeMs[row] = node.ctimeMs;
    numbers.ino[row] = node.ino;
    const counts = this.#counts.reserve(this.#length);
    // A row of 0 belongs to TOP.
    counts.parent[row] = parent + 1;
    counts.depth[row] = parent === TOP ? 1 : (counts.depth[parent] as number) + 1;
    counts.nlink[row] = node.nlink;
    const isAscii = this.#addName(node.name, row);
    const type = TYPES.indexOf(node.type);
    counts.bits[row] = type | (isAscii ? ASCII : 0) | (node.mode << MODE_SHIFT);
    return row;
  }

  typeOf(row: number): TreeNode["type"] {
    return TYPES[this.#count("bits", row) & (ASCII - 1)] as TreeNode["type"];
  }

  /** Row of the directory that has a node, or TOP. */
  parentOf(row: number): number {
    return this.#count("parent", row) - 1;
  }

  nameOf(row: number): string {
    const start = this.#count("nameAt", row) % NAMES_BYTES;
    const names = this.#names[Math.floor(this.#count("nameAt", row) / NAMES_BYTES)] as Buffer;
    const name = names.toString("latin1", start, start + this.#count("nameBytes", row));
    return this.#count("bits", row) & ASCII ? name : decodeName(name);
  }

  /** Makes the object of a row. Rows in order share the places of their directories. */
  at(row: number): ScannedNode {
    const { size, mtimeMs, ctimeMs, ino } = this.#numbers.all;
    const parent = this.placeOf(this.parentOf(row));
    return {
      name: this.nameOf(row),
      type: this.typeOf(row),
      mode: this.#count("bits", row) >> MODE_SHIFT,
      size: size[row] as number,
      mtimeMs: mtimeMs[row] as number,
      ctimeMs: ctimeMs[row] as number,
      ino: ino[row] as number,
      nlink: this.#count("nlink", row),
      parent,
      depth: parent.depth + 1,
    };
  }

  placeOf(directory: number): TreePlace {
    const way = this.#way;
    const down: number[] = [];
    let at = directory;
    for (; at !== TOP && way[this.#count("depth", at) - 1]?.row !== at; at = this.parentOf(at)) down.push(at);
    way.length = at === TOP ? 0 : this.#count("depth", at);
    for (let row = down.pop(); row !== undefined; row = down.pop()) {
      const ino = this.#numbers.all.ino[row] as number;
      way.push({ row, place: { ...placeIn(way.at(-1)?.place ?? this.top, this.nameOf(row)), ino } });
    }
    return way.at(-1)?.place ?? this.top;
  }

  /** Sorts rows from one on by name. No row may have a child yet. */
  async sortFrom(start: number): Promise<void> {
    if (this.#length - start < 2) return;
    const rows = Array.from({ length: this.#length - start }, (_, index) => start + index);
    const order = await sortKeys(rows, (row) => this.nameOf(row));
    for (const columns of [this.#numbers, this.#counts]) {
      await pause();
      columns.reorder(start, order);
    }
    // A directory that changes may list a name twice.
    this.#length = start + order.length;
  }

  /** Yields all rows in order. */
  *rows(): Generator<number> {
    for (let row = 0; row < this.#length; row++) yield row;
  }

  /** Yields all rows so that each directory is followed by its contents. The rows of a directory must follow each other. */
  *depthFirst(): Generator<number> {
    /** First row of each directory's contents, and the row behind them; `directory + 1`, so that TOP is 0. */
    const starts = new Uint32Array(this.#length + 1);
    const ends = new Uint32Array(this.#length + 1);
    for (let row = 0; row < this.#length; row++) {
      const parent = this.parentOf(row) + 1;
      if (ends[parent] === 0) starts[parent] = row;
      ends[parent] = row + 1;
    }
    /** Directories from the top down to the current one, as indices of `starts`. */
    const open = [0];
    for (let directory = open.at(-1); directory !== undefined; directory = open.at(-1)) {
      const row = starts[directory] as number;
      if (row >= (ends[directory] as number)) {
        open.pop();
        continue;
      }
      starts[directory] = row + 1;
      yield row;
      if (this.typeOf(row) === "directory") open.push(row + 1);
    }
  }

  #count(name: "parent" | "depth" | "nlink" | "bits" | "nameAt" | "nameBytes", row: number): number {
    return this.#counts.all[name][row] as number;
  }

  /** @returns whether the name is ASCII */
  #addName(name: string, row: number): boolean {
    const encoded = encodeName(name);
    const bytes = Buffer.byteLength(encoded);
    const names = this.#roomForName(bytes);
    if (typeof encoded === "string") names.write(encoded, this.#namesEnd);
    else names.set(encoded, this.#namesEnd);
    const { nameAt, nameBytes } = this.#counts.all;
    nameAt[row] = (this.#names.length - 1) * NAMES_BYTES + this.#namesEnd;
    nameBytes[row] = bytes;
    this.#namesEnd += bytes;
    this.#allNamesBytes += bytes;
    return typeof encoded === "string" && bytes === name.length;
  }

  /** Makes room behind the last name. @returns its buffer */
  #roomForName(bytes: number): Buffer {
    if (this.#namesEnd + bytes > NAMES_BYTES) {
      this.#names.push(Buffer.allocUnsafeSlow(this.#names.length === 0 ? FIRST_NAMES_BYTES : NAMES_BYTES));
      this.#namesEnd = 0;
    }
    const names = this.#names.at(-1) as Buffer;
    const needed = this.#namesEnd + bytes;
    if (needed <= names.length) return names;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * names.length));
    names.copy(grown, 0, 0, this.#namesEnd);
    this.#names[this.#names.length - 1] = grown;
    return grown;
  }
}
