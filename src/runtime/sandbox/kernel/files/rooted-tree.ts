import { basename } from "node:path/posix";
import type {
  Attribute,
  AttributesFound,
  Inodes,
  NodeMetadata,
  PersistentTree,
  TreeContent,
  TreeCursor,
  TreeNode,
  TreePlace,
} from "../../persistent-tree.ts";
import { type Call, posixError } from "../../posix.ts";
import { TreeBudget } from "../../tree-budget.ts";
import { placeOf } from "../../tree-path.ts";
import type { TreeAccess } from "./access.ts";
import type { Attributes } from "./attributes.ts";
import type { Holes } from "./holes.ts";
import type { Place } from "./place.ts";
import type { Root } from "./root.ts";
import { RootedTreeCursor } from "./rooted-cursor.ts";
import { describe, visitNodes } from "./tree-file.ts";

/** The VM's own files for checkpoints, reached by descriptors. */
export class RootedTree implements PersistentTree {
  readonly budget = new TreeBudget();
  readonly #root: Root;
  readonly #access: TreeAccess;
  readonly #attributes: Attributes;
  readonly #holes: Holes;

  constructor(access: TreeAccess, attributes: Attributes, holes: Holes) {
    this.#root = access.root;
    this.#access = access;
    this.#attributes = attributes;
    this.#holes = holes;
  }

  cursor(): TreeCursor {
    this.#access.assertOpen();
    return this.#access.keep((onClose) => new RootedTreeCursor(this.#access, this.#holes, onClose));
  }

  list(path: string): Promise<TreeNode[]> {
    return this.#access.list(
      path,
      { follow: false },
      (stats, call) => {
        if (this.#root.isForeign(stats)) throw posixError("EXDEV", call);
      },
      async (fd) => {
        const nodes: TreeNode[] = [];
        await visitNodes(this.#root, fd, (node) => nodes.push(node));
        return nodes;
      },
    );
  }

  stat(path: string): Promise<TreeNode | undefined> {
    return this.#at("lstat", path, ({ entry }) =>
      entry === null || this.#root.isForeign(entry.stats) ? undefined : describe(basename(path), entry.stats),
    );
  }

  readlink(path: string): Promise<string> {
    return this.#at("readlink", path, (place, call) => place.readLink(call));
  }

  makeDirectory(path: string, mode: number): Promise<void> {
    return this.#once((cursor) => cursor.makeDirectory(placeOf(path), mode));
  }

  makeFile(path: string, metadata: NodeMetadata, content: TreeContent): Promise<TreeNode> {
    return this.#once((cursor) => cursor.makeFile(placeOf(path), metadata, content));
  }

  makeSymlink(path: string, target: string): Promise<void> {
    return this.#once((cursor) => cursor.makeSymlink(placeOf(path), target));
  }

  makeLink(existing: string, path: string): Promise<void> {
    return this.#once((cursor) => cursor.makeLink(placeOf(existing), placeOf(path)));
  }

  setMetadata(path: string, metadata: NodeMetadata): Promise<void> {
    return this.#once((cursor) => cursor.setMetadata(placeOf(path), metadata));
  }

  attributes(places: Inodes): AsyncIterable<AttributesFound> {
    return this.#attributes.read(places);
  }

  async setAttributes(
    nodes: readonly { place: TreePlace; attributes: readonly Attribute[] }[],
  ): Promise<void> {
    if (nodes.length > 0) await this.#attributes.replace(nodes);
  }

  async #once<T>(work: (cursor: TreeCursor) => Promise<T>): Promise<T> {
    const cursor = this.cursor();
    try {
      return await work(cursor);
    } finally {
      await cursor.close();
    }
  }

  #at<T>(syscall: string, path: string, work: (place: Place, call: Call) => T): Promise<Awaited<T>> {
    return this.#access.at(syscall, path, { follow: false }, work);
  }
}
