import { fstatSync, type Stats, statfsSync } from "node:fs";
import { OwnDevice } from "../../mount-table.ts";
import type { Owner } from "../../own-uids.ts";
import { type Call, posixError } from "../../posix.ts";
import type { FileCalls } from "./calls.ts";
import { descriptorPath } from "./descriptors.ts";
import { type Mounted, MountedTrees } from "./mounted.ts";

const READ = 4;
const WRITE = 2;
const SEARCH = 1;
const STICKY = 0o1000;

/** Type of procfs in statfs(2) (PROC_SUPER_MAGIC). */
const PROCFS = 0x9fa0;
/** Types of cgroups, version 1 and 2 (CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC). */
const CGROUPS = [0x27e0eb, 0x63677270];
const PROCFS_ROOT_INODE = 1;

const CLOSED_NAMES = ["map_files", "fdinfo"];

/** An open directory in which the walk looks up names. */
export interface Directory {
  fd: number;
  stats: Stats;
  /** The mount that it is in, if it is a mount of this VM. */
  mount?: Mounted | undefined;
  /** Name of the directory in its parent. `undefined` for the root. */
  name?: string;
}

/**
 * The root of a VM's tree. Its device distinguishes the VM's own files from mounts such as the host's /usr, /proc and
 * devices, which the server never writes. It writes to mounts of `mounted`, as the VM's user may.
 */
export class Root {
  readonly fd: number;
  readonly owner: Owner | null;
  readonly calls: FileCalls;
  readonly mounted = new MountedTrees();
  readonly #own: OwnDevice;
  /** Types of the other devices of the VM. */
  readonly #foreign = new Map<number, number>();

  constructor(fd: number, owner: Owner | null, calls: FileCalls) {
    this.fd = fd;
    this.owner = owner;
    this.calls = calls;
    this.#own = new OwnDevice(fstatSync(fd).dev);
  }

  directory(): Directory {
    return { fd: this.fd, stats: fstatSync(this.fd) };
  }

  isForeign(stats: Stats): boolean {
    return !this.#own.holds(stats.dev);
  }

  /** Returns the mount of this VM that a file is in. @param above mount of the directory that holds the file */
  mountOf(stats: Stats, above?: Mounted): Mounted | undefined {
    return this.mounted.size === 0 || !this.isForeign(stats) ? undefined : this.mounted.of(stats, above);
  }

  /** `true` for a file that lies in a directory itself, and is not mounted there. */
  isIn({ mount }: Pick<Directory, "mount">, stats: Stats): boolean {
    return !this.isMountPoint({ stats, mount: this.mountOf(stats, mount) }, mount);
  }

  /** `true` for a file that is mounted into the VM at its own name. */
  isMountPoint({ stats, mount }: Pick<Directory, "stats" | "mount">, above: Mounted | undefined): boolean {
    return (
      this.isForeign(stats) &&
      (above === undefined || mount !== above || this.mounted.rootOf(stats) !== undefined)
    );
  }

  /**
   * Refuses a change in a directory that the VM's user could not make.
   *
   * @param entry the file that is replaced or removed
   * @throws AgentVmError `EROFS` for a place that is mounted read-only into the VM; `EACCES` or `EPERM`
   */
  assertChangeable(directory: Directory, entry: Stats | undefined, call: Call, path = call.path): void {
    const { stats, mount } = directory;
    if (this.#isOwn({ stats, mount }, path) || this.owner === null) return;
    if (!this.#permits(stats, WRITE) || !this.#permits(stats, SEARCH)) throw posixError("EACCES", call);
    const { uid } = this.owner;
    const isProtected =
      (stats.mode & STICKY) !== 0 && stats.uid !== uid && entry !== undefined && entry.uid !== uid;
    if (isProtected) throw posixError("EPERM", call);
  }

  /** Refuses to write a file that the VM's user may not write. */
  assertWritable({ stats, mount }: Pick<Directory, "stats" | "mount">, call: Call): void {
    if (!this.#isOwn({ stats, mount }, call.path) && !this.#permits(stats, WRITE))
      throw posixError("EACCES", call);
  }

  /** Refuses to change the mode or times of a file that the VM's user does not own. */
  assertOwned({ stats, mount }: Pick<Directory, "stats" | "mount">, call: Call): void {
    if (this.#isOwn({ stats, mount }, call.path) || this.owner === null) return;
    if (stats.uid !== this.owner.uid) throw posixError("EPERM", call);
  }

  /** `true` for files of procfs. */
  isProcfs(entry: Directory): boolean {
    return this.#typeOf(entry) === PROCFS;
  }

  /** `true` for files whose content the kernel generates for the process that reads it: of procfs and of cgroups. */
  isGenerated(entry: Directory): boolean {
    const type = this.#typeOf(entry);
    return type === PROCFS || CGROUPS.includes(type ?? 0);
  }

  /** @returns `undefined` for the VM's own device */
  #typeOf({ fd, stats }: Directory): number | undefined {
    if (!this.isForeign(stats)) return undefined;
    const type = this.#foreign.get(stats.dev) ?? statfsSync(descriptorPath(fd)).type;
    this.#foreign.set(stats.dev, type);
    return type;
  }

  /**
   * Refuses names of procfs that show the server more than the VM: /proc/sys/net lists the network interfaces of the
   * server's namespace, and map_files and fdinfo show a server more than the VM's user.
   */
  assertShared(directory: Directory, name: string, call: Call): void {
    const isClosed = CLOSED_NAMES.includes(name) || (name === "net" && directory.name === "sys");
    if (isClosed && this.isProcfs(directory)) throw posixError("EACCES", call);
  }

  /** Refuses links of a process that the VM's user may not inspect. In procfs the host's root owns such links. */
  assertFollowable(directory: Directory, link: Stats, call: Call): void {
    if (this.owner === null || !this.isProcfs(directory)) return;
    const isOfProcess = directory.stats.ino !== PROCFS_ROOT_INODE;
    if (isOfProcess && link.uid !== this.owner.uid) throw posixError("EACCES", call);
  }

  /** Refuses a file of the host, mounted into the VM, that the VM's user could not read. The server may be root. */
  assertReadable(stats: Stats, call: Call): void {
    if (!this.#permits(stats, READ)) throw posixError("EACCES", call);
  }

  assertSearchable(stats: Stats, call: Call): void {
    if (!this.#permits(stats, SEARCH)) throw posixError("EACCES", call);
  }

  /** Makes the VM's user the owner of a new file. */
  async own(fd: number): Promise<void> {
    if (this.owner !== null) await this.calls.fchown(fd, this.owner.uid, this.owner.gid);
  }

  /** Makes the VM's user the owner of a file with an O_PATH descriptor, for which fchown(2) fails with EBADF. */
  async ownPath(fd: number): Promise<void> {
    if (this.owner !== null) await this.calls.chown(descriptorPath(fd), this.owner.uid, this.owner.gid);
  }

  /** @returns whether a file is the VM's own @throws AgentVmError `EROFS` for a file that is mounted read-only into the VM */
  #isOwn({ stats, mount }: Pick<Directory, "stats" | "mount">, path: string): boolean {
    if (mount?.writable === true) return false;
    this.#own.assertHolds(stats.dev, path);
    return true;
  }

  #permits(stats: Stats, wanted: number): boolean {
    if (this.owner === null || !this.isForeign(stats)) return true;
    const shift = stats.uid === this.owner.uid ? 6 : stats.gid === this.owner.gid ? 3 : 0;
    return ((stats.mode >> shift) & wanted) !== 0;
  }
}
