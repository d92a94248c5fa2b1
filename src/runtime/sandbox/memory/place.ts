import { type Call, posixError } from "../posix.ts";
import type { Link, Tree } from "./tree.ts";

/** A name in a directory: the target of a write. */
export interface Slot {
  directory: Link;
  name: string;
}

/** Result of resolving a path. */
export class Place {
  /** The entry at the path. `null` if nothing has this path. */
  readonly link: Link | null;
  /** The path, or a link in its last position, ends with a slash: only a directory is valid. */
  readonly slash: boolean;
  readonly #tree: Tree;
  readonly #slot: Slot | null;

  constructor(tree: Tree, slot: Slot | null, link: Link | null, slash: boolean) {
    this.#tree = tree;
    this.#slot = slot;
    this.link = link;
    this.slash = slash;
  }

  /** `true` if the path has no last name: it led to the root, or to a directory by `..`. */
  get nameless(): boolean {
    return this.#slot === null;
  }

  /** Returns the entry. ENOENT if nothing has this path, ENOTDIR if a slash follows anything but a directory. */
  existing(call: Call): Link {
    if (this.link === null) throw posixError("ENOENT", call);
    if (this.slash && !this.link.node.isDirectory()) throw posixError("ENOTDIR", call);
    return this.link;
  }

  /** Returns the directory and name to change. EROFS outside the VM's own device. */
  writable(call: Call, path = call.path): Slot {
    if (this.#slot === null) throw posixError("EBUSY", call);
    this.#tree.assertOwn(this.#slot.directory, path);
    return this.#slot;
  }

  assertNoMountPoint(call: Call): void {
    if (this.link !== null && this.#tree.isMountPoint(this.link)) throw posixError("EBUSY", call);
  }
}
