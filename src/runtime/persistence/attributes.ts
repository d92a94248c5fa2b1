import { visitAll } from "../../base/pace.ts";
import type { ScannedNode } from "../filesystem/scan.ts";
import type { Attribute, PersistentTree, TreePlace } from "../sandbox/persistent-tree.ts";
import type { KnownContent } from "./contents.ts";
import type { DirectoryEntry, FileEntry } from "./entries.ts";
import { MAX_VM_ATTRIBUTES_BYTES } from "./limits.ts";

interface UnreadAttributes {
  node: ScannedNode;
  before: readonly Attribute[] | undefined;
}

/** Extended attributes of the entries of one scan. Only attributes of changed inodes are read. */
export class TreeAttributes {
  /** Places whose attributes are not stored: they are unreadable or too large. */
  readonly unreadable: TreePlace[] = [];
  /** Each name of a changed file has its own content object, and is read separately. */
  readonly #wanted = new Map<KnownContent, UnreadAttributes>();
  readonly #entries: { entry: FileEntry | DirectoryEntry; content: KnownContent }[] = [];

  /**
   * @param content known content of the entry's inode. Receives the attributes when they are read.
   * @param before attributes to keep if they cannot be read
   */
  add(
    node: ScannedNode,
    content: KnownContent,
    entry: FileEntry | DirectoryEntry,
    before?: readonly Attribute[],
  ): void {
    if (content.attributes?.length === 0) return;
    this.#entries.push({ entry, content });
    if (content.attributes === undefined) this.#wanted.set(content, { node, before });
  }

  /**
   * Reads unknown attributes, and adds them to the entries.
   *
   * @returns whether each inode was still at its path
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
        this.unreadable.push(node);
        content.attributes = before;
        content.settled = false;
      } else content.attributes = attributes;
    });
    await this.#addToEntries();
    return isWhole;
  }

  async #addToEntries(): Promise<void> {
    let bytes = 0;
    await visitAll(this.#entries, ({ entry, content }) => {
      const { attributes = [] } = content;
      if (attributes.length === 0) return;
      const size = attributesBytes(attributes);
      if (bytes + size > MAX_VM_ATTRIBUTES_BYTES) {
        this.unreadable.push(entry.place);
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
