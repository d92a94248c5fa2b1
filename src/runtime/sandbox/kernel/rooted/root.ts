import { chownSync, fchownSync, fstatSync, type Stats, statfsSync } from "node:fs";
import { type Call, posixError } from "../../posix.ts";
import { descriptorPath } from "./descriptors.ts";
import type { Owner } from "./identity.ts";

const READ = 4;
const SEARCH = 1;

/** statfs(2) of procfs (PROC_SUPER_MAGIC). */
const PROCFS = 0x9fa0;
const PROCFS_ROOT_INODE = 1;

const CLOSED_NAMES = ["map_files", "fdinfo"];

/** A directory on the way through the tree: what a look-up in it must know. */
export interface Directory {
  fd: number;
  stats: Stats;
  /** How it was found; not for the root. */
  name?: string;
}

/**
 * The top of a VM's tree. Its device tells the VM's own files from what is mounted into the VM: the host's /usr,
 * /proc, devices. Nothing of those is ever written.
 */
export class Root {
  readonly fd: number;
  readonly owner: Owner | null;
  readonly #device: number;
  /** Other devices of the VM, and whether each is a procfs. */
  readonly #foreign = new Map<number, boolean>();

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

  /** The kernel makes such files up as they are read, for whoever reads. */
  isProcfs({ fd, stats }: Directory): boolean {
    if (!this.isForeign(stats)) return false;
    const known = this.#foreign.get(stats.dev);
    if (known !== undefined) return known;
    const found = statfsSync(descriptorPath(fd)).type === PROCFS;
    this.#foreign.set(stats.dev, found);
    return found;
  }

  /**
   * Names of procfs that show the server something else than the VM: /proc/sys/net has the network interfaces of the
   * server's namespace; map_files and fdinfo ask who looks, and say more to a server than to the VM's user.
   */
  assertShared(directory: Directory, name: string, call: Call): void {
    const isClosed = CLOSED_NAMES.includes(name) || (name === "net" && directory.name === "sys");
    if (isClosed && this.isProcfs(directory)) throw posixError("EACCES", call);
  }

  /** The links of a process whose insides the VM's user may not see belong to the host's root, as all in procfs do. */
  assertFollowable(directory: Directory, link: Stats, call: Call): void {
    if (this.owner === null || !this.isProcfs(directory)) return;
    const isOfProcess = directory.stats.ino !== PROCFS_ROOT_INODE;
    if (isOfProcess && link.uid !== this.owner.uid) throw posixError("EACCES", call);
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
