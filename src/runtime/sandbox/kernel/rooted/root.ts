import { chownSync, fchownSync, fstatSync, type Stats } from "node:fs";
import { type Call, posixError } from "../../posix.ts";
import { descriptorPath } from "./descriptors.ts";
import type { Owner } from "./identity.ts";

const READ = 4;
const SEARCH = 1;

/** A directory on the way through the tree: what a look-up in it must know. */
export interface Directory {
  fd: number;
  stats: Stats;
}

/**
 * The top of a VM's tree. Its device tells the VM's own files from what is mounted into the VM: the host's /usr,
 * /proc, devices. Nothing of those is ever written.
 */
export class Root {
  readonly fd: number;
  readonly owner: Owner | null;
  readonly #device: number;

  constructor(fd: number, owner: Owner | null) {
    this.fd = fd;
    this.owner = owner;
    this.#device = fstatSync(fd).dev;
  }

  directory(): Directory {
    return { fd: this.fd, stats: fstatSync(this.fd) };
  }

  isForeign(stats: Stats): boolean {
    return stats.dev !== this.#device;
  }

  /** A root server must read no more of the host's files through a mount than the VM's user could. */
  assertReadable(stats: Stats, call: Call): void {
    if (!this.#permits(stats, READ)) throw posixError("EACCES", call);
  }

  assertSearchable(stats: Stats, call: Call): void {
    if (!this.#permits(stats, SEARCH)) throw posixError("EACCES", call);
  }

  /** Gives what the server has just made to the VM's user. */
  own(fd: number): void {
    if (this.owner !== null) fchownSync(fd, this.owner.uid, this.owner.gid);
  }

  /** The same for an O_PATH descriptor, on which fchown(2) is EBADF; a symlink is changed itself. */
  ownPath(fd: number): void {
    if (this.owner !== null) chownSync(descriptorPath(fd), this.owner.uid, this.owner.gid);
  }

  #permits(stats: Stats, wanted: number): boolean {
    if (this.owner === null || !this.isForeign(stats)) return true;
    const shift = stats.uid === this.owner.uid ? 6 : stats.gid === this.owner.gid ? 3 : 0;
    return ((stats.mode >> shift) & wanted) !== 0;
  }
}
