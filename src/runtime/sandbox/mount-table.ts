import { readOnlyPath } from "./posix.ts";
import { NODE_FOLDER, VM_HOME } from "./vm-layout.ts";

/**
 * Maker of the files of a place in a VM:
 * - `own`: the VM's user, in the VM's own tree
 * - `server`: the server, which puts its programs and jobs there. Also in the VM's own tree
 * - `link`: a link to another place
 * - `host`: the host, mounted read-only
 * - `kernel`: the kernel, which generates a file's content when it is read
 * - `host_dir`, `memory`, `volume`, `overlay`: a mount of the VM, see docs/mounts.md
 */
type MountKind = "own" | "server" | "link" | "host" | "kernel" | AddedKind;

/** Kinds of mounts that a VM may have besides those of every VM. */
export type AddedKind = "host_dir" | "memory" | "volume" | "overlay";

/** A place in a VM. */
export interface VmMount {
  path: string;
  kind: MountKind;
  /** `false`: no file action writes at or below the path. */
  writable: boolean;
  /** `false`: checkpoints leave the place out. */
  kept: boolean;
}

/** The places of a VM that differ from the rest of its tree. */
export class MountTable {
  readonly #mounts: Map<string, VmMount>;

  constructor(mounts: Iterable<VmMount>) {
    this.#mounts = new Map([...mounts].map((mount) => [mount.path, mount]));
  }

  /** Returns the entry of exactly this path. */
  get(path: string): VmMount | undefined {
    return this.#mounts.get(path);
  }

  /** Returns the innermost entry at or above a path. */
  at(path: string): VmMount | undefined {
    for (let at = path; ; at = at.slice(0, at.lastIndexOf("/")) || "/") {
      const mount = this.#mounts.get(at);
      if (mount !== undefined || at === "/") return mount;
    }
  }

  /** Lists the paths of some kinds, in the order of the table. */
  paths(...kinds: readonly MountKind[]): string[] {
    return [...this.#mounts.values()].filter(({ kind }) => kinds.includes(kind)).map(({ path }) => path);
  }

  /** Returns a table with the same entries, for the mounts of one VM. */
  copy(): MountTable {
    return new MountTable(this.#mounts.values());
  }

  add(mount: VmMount): void {
    this.#mounts.set(mount.path, mount);
  }

  remove(path: string): void {
    this.#mounts.delete(path);
  }
}

const own = (path: string, { kept = true } = {}): VmMount => ({ path, kind: "own", writable: true, kept });
const server = (path: string, { kept = true } = {}): VmMount => ({
  path,
  kind: "server",
  writable: true,
  kept,
});
const link = (path: string): VmMount => ({ path, kind: "link", writable: true, kept: true });
const kernel = (path: string): VmMount => ({ path, kind: "kernel", writable: false, kept: false });

/** The places of every VM. A file's device matters as well: see `OwnDevice`. */
export const VM_MOUNTS = new MountTable([
  kernel("/proc"),
  kernel("/sys"),
  kernel("/dev"),
  server("/run", { kept: false }),
  { path: "/usr", kind: "host", writable: false, kept: true },
  server(NODE_FOLDER),
  ...["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/var/run", "/var/lock", "/home/user"].map(
    link,
  ),
  ...["/", "/etc", "/home", VM_HOME, "/workspace"].map((path) => own(path)),
  own("/tmp", { kept: false }),
  ...["/var", "/var/tmp", "/opt", "/root"].map((path) => own(path)),
]);

/**
 * The device of a VM's root. A file of another device is mounted into the VM. It is read-only unless it belongs to a writable
 * mount of the VM, even if the table says that its path is writable.
 */
export class OwnDevice {
  readonly #dev: number;

  constructor(dev: number) {
    this.#dev = dev;
  }

  /** @param dev `undefined` for a file that is known to be the VM's own */
  holds(dev: number | undefined): boolean {
    return dev === undefined || dev === this.#dev;
  }

  /** @throws AgentVmError `EROFS` with the path, for a file of another device */
  assertHolds(dev: number | undefined, path: string): void {
    if (!this.holds(dev)) throw readOnlyPath(path);
  }
}
