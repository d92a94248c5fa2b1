import { closeSync, type Stats } from "node:fs";
import { type Call, posixError, readOnlyPath } from "../../posix.ts";
import { at, duplicateDirectory } from "./descriptors.ts";
import type { Directory, Root } from "./root.ts";

/** What a path named: a descriptor of it, and what fstat(2) said. */
export interface Entry {
  fd: number;
  stats: Stats;
}

/** A name in a directory: where a write goes. */
export interface Slot {
  directory: Directory;
  name: string;
}

/**
 * Where a path led. It holds O_PATH descriptors, which stay on the same files whatever is renamed meanwhile;
 * `close` gives them back.
 */
export class Place {
  /** What is there now, `null` when nothing is. */
  readonly entry: Entry | null;
  /** The path, or the link in its last position, ended with a slash: only a directory will do. */
  readonly slash: boolean;
  readonly #root: Root;
  readonly #slot: Slot | null;

  constructor(root: Root, slot: Slot | null, entry: Entry | null, slash: boolean) {
    this.#root = root;
    this.#slot = slot;
    this.entry = entry;
    this.slash = slash;
  }

  /** No name: the path led to the root, or to a directory by `..`. */
  get nameless(): boolean {
    return this.#slot === null;
  }

  /** What is there; ENOENT when nothing is, ENOTDIR when a slash follows something else than a directory. */
  existing(call: Call): Entry {
    if (this.entry === null) throw posixError("ENOENT", call);
    if (this.slash && !this.entry.stats.isDirectory()) throw posixError("ENOTDIR", call);
    return this.entry;
  }

  /** The directory and name that a change goes to; refused on every device but the VM's own. */
  writable(call: Call, path = call.path): Slot {
    if (this.#slot === null) throw posixError("EBUSY", call);
    if (this.#root.isForeign(this.#slot.directory.stats)) throw readOnlyPath(path);
    return this.#slot;
  }

  /** The name as the kernel takes it, for a change. */
  writablePath(call: Call): string | Buffer {
    this.writable(call);
    return this.namePath(call);
  }

  /** The name as the kernel takes it, to look at. */
  namePath(call: Call): string | Buffer {
    if (this.#slot === null) throw posixError("EINVAL", call);
    return at(this.#slot.directory.fd, this.#slot.name);
  }

  /**
   * A mount point must stay: from outside the VM's mount namespace the kernel would let us remove it,
   * and the mount in the VM with it.
   */
  assertNoMountPoint(call: Call): void {
    if (this.entry !== null && this.#root.isForeign(this.entry.stats)) throw posixError("EBUSY", call);
  }

  /** A descriptor of the directory that holds the name, for longer than this place. */
  keepDirectory(call: Call): number {
    return duplicateDirectory(this.writable(call).directory.fd);
  }

  close(): void {
    this.#release(this.entry?.fd);
    this.#release(this.#slot?.directory.fd);
  }

  #release(fd: number | undefined): void {
    if (fd !== undefined && fd !== this.#root.fd) closeSync(fd);
  }
}
