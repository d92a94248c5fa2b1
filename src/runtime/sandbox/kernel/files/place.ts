import { closeSync } from "node:fs";
import { decodeName } from "../../names.ts";
import { type Call, posixError } from "../../posix.ts";
import { at, closeFile, duplicateDirectory, isLarge } from "./descriptors.ts";
import type { Directory, Root } from "./root.ts";

/** A file: an O_PATH descriptor, the result of fstat(2), and the mount of the VM that it is in. */
export type Entry = Omit<Directory, "name">;

/** A name in a directory: the target of a write. */
export interface Slot {
  directory: Directory;
  name: string;
}

/**
 * Result of resolving a path. Its O_PATH descriptors keep naming the same files if a process renames them. `close`
 * closes them.
 */
export class Place {
  /** The file at the path. `null` if nothing has this path. */
  readonly entry: Entry | null;
  /** The path, or a link in its last position, ends with a slash: only a directory is valid. */
  readonly slash: boolean;
  readonly #root: Root;
  readonly #slot: Slot | null;

  constructor(root: Root, slot: Slot | null, entry: Entry | null, slash: boolean) {
    this.#root = root;
    this.#slot = slot;
    this.entry = entry;
    this.slash = slash;
  }

  /** `true` if the path has no last name: it led to the root, or to a directory by `..`. */
  get nameless(): boolean {
    return this.#slot === null;
  }

  /** Returns the file. ENOENT if nothing has this path, ENOTDIR if a slash follows anything but a directory. */
  existing(call: Call): Entry {
    if (this.entry === null) throw posixError("ENOENT", call);
    if (this.slash && !this.entry.stats.isDirectory()) throw posixError("ENOTDIR", call);
    return this.entry;
  }

  /** Returns the mount that the path, or the directory of its name, is in. */
  get mount(): Directory["mount"] {
    return this.#slot === null ? this.entry?.mount : this.#slot.directory.mount;
  }

  /** Returns the directory and name to change. EROFS outside the VM's own files and its writable mounts. */
  writable(call: Call, path = call.path): Slot {
    if (this.#slot === null) throw posixError("EBUSY", call);
    this.#root.assertChangeable(this.#slot.directory, this.entry?.stats, call, path);
    return this.#slot;
  }

  /** Returns the path of the name for a change, as `at` writes it. EROFS as for `writable`. */
  writablePath(call: Call): string | Buffer {
    const { directory, name } = this.writable(call);
    return at(directory.fd, name);
  }

  /** Reads the text of the link at the path. */
  async readLink(call: Call): Promise<string> {
    if (!this.existing(call).stats.isSymbolicLink() || this.#slot === null) throw posixError("EINVAL", call);
    return decodeName(await this.#root.calls.readlink(at(this.#slot.directory.fd, this.#slot.name)));
  }

  /**
   * Refuses a mount point. The kernel would let the server, outside the VM's mount namespace, remove the mount point,
   * and the mount in the VM with it.
   */
  assertNoMountPoint(call: Call): void {
    const above = this.#slot?.directory.mount;
    if (this.entry !== null && this.#root.isMountPoint(this.entry, above)) throw posixError("EBUSY", call);
  }

  /** Returns a new descriptor of the directory that contains the name. The caller closes it. */
  keepDirectory(call: Call): number {
    return duplicateDirectory(this.writable(call).directory.fd);
  }

  /** @returns a promise if another thread frees the file meanwhile */
  close(): Promise<void> | undefined {
    this.#release(this.#slot?.directory.fd);
    const { entry } = this;
    if (entry !== null && entry.fd !== this.#root.fd && isLarge(entry.stats)) return closeFile(entry.fd);
    this.#release(entry?.fd);
    return undefined;
  }

  #release(fd: number | undefined): void {
    if (fd !== undefined && fd !== this.#root.fd) closeSync(fd);
  }
}
