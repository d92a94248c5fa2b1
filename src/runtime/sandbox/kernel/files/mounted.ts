import type { Stats } from "node:fs";
import { type AddedKind, type MountTable, VM_MOUNTS, type VmMount } from "../../mount-table.ts";
import { closeElsewhere } from "./descriptors.ts";

/** A mount of the VM besides those of every VM. */
export interface Mounted extends VmMount {
  kind: AddedKind;
  /** Device and inode of its root. */
  dev: number;
  ino: number;
  /** O_PATH descriptor of its root. */
  fd: number;
}

/** The mounts of one VM that were made since its boot. A walk finds them by the device and inode of their roots. */
export class MountedTrees {
  /** The places of the VM, with these mounts. */
  readonly #table: MountTable = VM_MOUNTS.copy();
  readonly #mounts = new Map<string, Mounted>();

  get size(): number {
    return this.#mounts.size;
  }

  add(mounted: Mounted): void {
    this.#mounts.set(mounted.path, mounted);
    this.#table.add(mounted);
  }

  /** The descriptor may be the last that holds a whole file system. Another thread closes it. */
  async remove(path: string): Promise<void> {
    const mounted = this.get(path);
    if (mounted === undefined) return;
    this.#mounts.delete(path);
    this.#table.remove(path);
    // A place of every VM is again what it was.
    const place = VM_MOUNTS.get(path);
    if (place !== undefined) this.#table.add(place);
    await closeElsewhere(mounted.fd);
  }

  get(path: string): Mounted | undefined {
    return this.#mounts.get(path);
  }

  /** Returns the innermost mount at or above a path. */
  at(path: string): Mounted | undefined {
    const place = this.#table.at(path);
    return place === undefined ? undefined : this.get(place.path);
  }

  /**
   * Returns the mount of which a file is the root. Of two mounts of one folder the writable one counts: the kernel refuses
   * writes to the other.
   */
  rootOf({ dev, ino }: Stats): Mounted | undefined {
    let found: Mounted | undefined;
    for (const mounted of this.#mounts.values())
      if (mounted.ino === ino && mounted.dev === dev && found?.writable !== true) found = mounted;
    return found;
  }

  /**
   * Returns the mount of a file that is not on the VM's own device.
   *
   * @param above mount of the directory that holds the file
   */
  of(stats: Stats, above: Mounted | undefined): Mounted | undefined {
    const found = this.rootOf(stats);
    if (found !== undefined || above === undefined) return found;
    // In an overlay, files and directories have devices of their own.
    return stats.dev === above.dev || (above.kind === "overlay" && !stats.isDirectory()) ? above : undefined;
  }

  async close(): Promise<void> {
    const mounts = [...this.#mounts.values()];
    this.#mounts.clear();
    await Promise.all(mounts.map(({ fd }) => closeElsewhere(fd)));
  }
}
