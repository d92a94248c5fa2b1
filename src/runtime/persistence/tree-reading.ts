import { pause } from "../../base/pace.ts";
import type { NodeTable, ScannedNode } from "../filesystem/node-table.ts";
import { MAX_UNREADABLE } from "../filesystem/scan.ts";
import type { Attribute, Inodes, PersistentTree, TreePlace } from "../sandbox/persistent-tree.ts";
import { pathOf } from "../sandbox/tree-path.ts";
import type { TreeEntry } from "./entries.ts";
import { type KnownContent, KnownContents } from "./known-contents.ts";
import { MAX_VM_ATTRIBUTES_BYTES } from "./limits.ts";

/** Content row of a node that is not stored, or of a link. */
const NONE = -1;

/** A tree that is being read for a checkpoint: its nodes, their contents, and what could not be read. */
export class TreeReading implements Iterable<TreeEntry> {
  readonly nodes: NodeTable;
  /** Contents that were known before. */
  readonly before: KnownContents;
  readonly contents = new KnownContents();
  /** Paths of files and directories that could not be read, up to MAX_UNREADABLE. */
  readonly unreadable: string[];
  /** No file moved away between the scan and the reading. */
  isWhole = true;
  /** Row of the content of each node. */
  readonly #contentRows: Int32Array;
  readonly #targets = new Map<number, string>();
  /** Nodes whose attributes do not fit into MAX_VM_ATTRIBUTES_BYTES. */
  readonly #withoutAttributes = new Set<number>();

  constructor(nodes: NodeTable, before: KnownContents, unreadable: readonly string[]) {
    this.nodes = nodes;
    this.before = before;
    this.unreadable = [...unreadable];
    this.#contentRows = new Int32Array(nodes.length).fill(NONE);
  }

  /** Content of an inode, read now or known before. */
  contentOf(ino: number): KnownContent | undefined {
    return this.contents.get(ino) ?? this.before.get(ino);
  }

  setContent(row: number, ino: number, content: KnownContent): void {
    this.#contentRows[row] = this.contents.set(ino, content);
  }

  setTarget(row: number, target: string): void {
    this.#targets.set(row, target);
  }

  addUnreadable(place: TreePlace): void {
    if (this.unreadable.length >= MAX_UNREADABLE) return;
    const path = pathOf(place);
    if (!this.unreadable.includes(path)) this.unreadable.push(path);
  }

  /** Yields what a checkpoint stores, parents before children. */
  *[Symbol.iterator](): Generator<TreeEntry> {
    for (const row of this.nodes.rows()) {
      const entry = this.#entry(row);
      if (entry !== undefined) yield entry;
    }
  }

  #entry(row: number): TreeEntry | undefined {
    const target = this.#targets.get(row);
    const contentRow = this.#contentRows[row] as number;
    if (target === undefined && contentRow === NONE) return undefined;
    const node = this.nodes.at(row);
    const { type, mode, mtimeMs } = node;
    const base = { place: node, mode, mtimeMs };
    if (target !== undefined) return { ...base, type: "symlink", target };
    const content = this.contents.at(contentRow);
    const { attributes = [] } = content;
    const kept = attributes.length === 0 || this.#withoutAttributes.has(row) ? {} : { attributes };
    if (type === "directory") return { ...base, type, ...kept };
    const { size, chunks } = content;
    const links = node.nlink > 1 ? { links: node.ino } : {};
    return { ...base, type: "file", mtimeMs: content.mtimeMs, size, chunks, ...links, ...kept };
  }

  /** Reads the attributes of inodes of which they are unknown. */
  async readAttributes(tree: PersistentTree): Promise<void> {
    const rows = await this.#rowsWithoutAttributes();
    let bytes = await this.#limitAttributes();
    const { nodes } = this;
    const inodes: Inodes = {
      length: rows.length,
      *[Symbol.iterator]() {
        for (const row of rows) yield nodes.at(row);
      },
    };
    let index = 0;
    for await (const found of tree.attributes(inodes)) {
      const turn = pause();
      if (turn !== null) await turn;
      const row = rows[index++] as number;
      const contentRow = this.#contentRows[row] as number;
      if (found === "gone") this.isWhole = false;
      else if (found === "unreadable") this.#keepAttributes(nodes.at(row), contentRow);
      else if (bytes + attributesBytes(found) > MAX_VM_ATTRIBUTES_BYTES) this.addUnreadable(nodes.at(row));
      else {
        bytes += attributesBytes(found);
        this.contents.setAttributes(contentRow, found);
      }
    }
    // A file with several names takes its attributes several times.
    await this.#limitAttributes();
  }

  /** Attributes that cannot be read stay as they were stored. */
  #keepAttributes(node: ScannedNode, contentRow: number): void {
    this.addUnreadable(node);
    this.contents.setAttributes(contentRow, this.before.get(node.ino)?.attributes ?? []);
    this.contents.unsettle(contentRow);
  }

  /** Lists a node of each inode whose attributes are unknown. */
  async #rowsWithoutAttributes(): Promise<number[]> {
    const isListed = new Uint8Array(this.contents.length);
    const rows: number[] = [];
    for (const row of this.nodes.rows()) {
      const turn = pause();
      if (turn !== null) await turn;
      const contentRow = this.#contentRows[row] as number;
      if (contentRow === NONE || isListed[contentRow] === 1) continue;
      isListed[contentRow] = 1;
      if (this.contents.attributesOf(contentRow) === undefined) rows.push(row);
    }
    return rows;
  }

  /** Leaves out attributes past the limit. @returns bytes of the others */
  async #limitAttributes(): Promise<number> {
    let bytes = 0;
    for (const row of this.nodes.rows()) {
      const turn = pause();
      if (turn !== null) await turn;
      const contentRow = this.#contentRows[row] as number;
      if (contentRow === NONE) continue;
      const attributes = this.contents.attributesOf(contentRow) ?? [];
      if (attributes.length === 0) continue;
      const size = attributesBytes(attributes);
      if (bytes + size <= MAX_VM_ATTRIBUTES_BYTES) {
        bytes += size;
        continue;
      }
      this.#withoutAttributes.add(row);
      this.addUnreadable(this.nodes.at(row));
    }
    return bytes;
  }
}

export function attributesBytes(attributes: readonly Attribute[] = []): number {
  return attributes.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
}
