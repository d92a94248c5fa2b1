import { type Call, posixError, readOnlyPath } from "../posix.ts";
import type { Link, Tree } from "./tree.ts";

/** A name in a directory: where a write goes. */
export interface Slot {
  directory: Link;
  name: string;
}

/** Where a path led. */
export class Place {
  /** What is there now, `null` when nothing is. */
  readonly link: Link | null;
  /** The path, or the link in its last position, ended with a slash: only a directory will do. */
  readonly slash: boolean;
  readonly #tree: Tree;
  readonly #slot: Slot | null;

  constructor(tree: Tree, slot: Slot | null, link: Link | null, slash: boolean) {
    this.#tree = tree;
    this.#slot = slot;
    this.link = link;
    this.slash = slash;
  }

  /** No name: the path led to the root, or to a directory by `..`. */
  get nameless(): boolean {
    return this.#slot === null;
  }

  /** What is there; ENOENT when nothing is, ENOTDIR when a slash follows something else than a directory. */
  existing(call: Call): Link {
    if (this.link === null) throw posixError("ENOENT", call);
    if (this.slash && !this.link.node.isDirectory()) throw posixError("ENOTDIR", call);
    return this.link;
  }

  /** The directory and name that a change goes to; refused outside the VM's own device. */
  writable(call: Call, path = call.path): Slot {
    if (this.#slot === null) throw posixError("EBUSY", call);
    if (this.#tree.isForeign(this.#slot.directory)) throw readOnlyPath(path);
    return this.#slot;
  }

  assertNoMountPoint(call: Call): void {
    if (this.link !== null && this.#tree.isMountPoint(this.link)) throw posixError("EBUSY", call);
  }
}
