import { MAX_VM_ATTRIBUTES_BYTES } from "../../api/limits.ts";
import { visitAll } from "../sandbox/pace.ts";
import type { Attribute, PersistentTree } from "../sandbox/persistent-tree.ts";
import type { KnownContent } from "./contents.ts";
import type { DirectoryEntry, FileEntry } from "./entries.ts";
import type { ScannedNode } from "./scan.ts";

interface Wanted {
  node: ScannedNode;
  before: readonly Attribute[] | undefined;
}

/** Extended attributes of what one look at a tree has found. Only those of inodes that have changed are read. */
export class TreeAttributes {
  /** Paths whose attributes are not kept: they may not be read, or are too large. */
  readonly unreadable: string[] = [];
  /** A file of several names that has just changed is read anew by each of them. */
  readonly #wanted = new Map<KnownContent, Wanted>();
  readonly #entries: { entry: FileEntry | DirectoryEntry; content: KnownContent }[] = [];

  /**
   * @param content what is known of the entry's inode; it takes the attributes when they have been read
   * @param before what stays where they cannot be read
   */
  add(
    node: ScannedNode,
    content: KnownContent,
    entry: FileEntry | DirectoryEntry,
    before?: readonly Attribute[],
  ): void {
    // Most have none.
    if (content.attributes?.length === 0) return;
    this.#entries.push({ entry, content });
    if (content.attributes === undefined) this.#wanted.set(content, { node, before });
  }

  /**
   * Reads what is not known, and gives every entry its own.
   *
   * @returns whether each inode was still where it had been found
   */
  async finish(tree: PersistentTree): Promise<boolean> {
    const nodes: ScannedNode[] = [];
    await visitAll(this.#wanted.values(), ({ node }) => nodes.push(node));
    const found = (await tree.attributes(nodes)).values();
    let isWhole = true;
    await visitAll(this.#wanted, ([content, { node, before = [] }]) => {
      const attributes = found.next().value ?? "gone";
      if (attributes === "gone") isWhole = false;
      else if (attributes === "unreadable") {
        this.unreadable.push(node.path);
        content.attributes = before;
        content.settled = false;
      } else content.attributes = attributes;
    });
    await this.#give();
    return isWhole;
  }

  async #give(): Promise<void> {
    let bytes = 0;
    await visitAll(this.#entries, ({ entry, content }) => {
      const { attributes = [] } = content;
      if (attributes.length === 0) return;
      const size = attributesBytes(attributes);
      if (bytes + size > MAX_VM_ATTRIBUTES_BYTES) {
        this.unreadable.push(entry.path);
        return;
      }
      bytes += size;
      entry.attributes = attributes;
    });
  }
}

export function attributesBytes(attributes: readonly Attribute[] = []): number {
  return attributes.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
}
