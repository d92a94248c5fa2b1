import { constants } from "node:fs";
import { memfs, type Volume } from "memfs";
import { OwnDevice } from "../mount-table.ts";
import type { Call } from "../posix.ts";
import { Content } from "./content.ts";
import type { Quota } from "./quota.ts";

/** The volume of memfs that creates directory entries and inodes. */
type Core = Volume["_core"];
export type Link = Core["root"];
export type Inode = Link["node"];

const { S_IFDIR, S_IFLNK, S_IFREG } = constants;

const VM_ID = 1000;
/** Owner of the directories that stand for mounts from the host. */
const OVERFLOW_ID = 65534;

const LINK_MODE = 0o777;
const ROOT_DEVICE = 1;
const OWN_DEVICE = new OwnDevice(ROOT_DEVICE);

/** Process that memfs takes user ids from. The VM's user owns every file. */
const VM_PROCESS = {
  getuid: () => VM_ID,
  getgid: () => VM_ID,
  cwd: () => "/",
  platform: "linux",
  env: {},
  emitWarning: () => undefined,
};

/**
 * A tree of memfs's directory entries and inodes. This class implements rename, freed inodes and limits, in which memfs
 * differs from Linux. It also keeps the contents: memfs doubles and copies one buffer for each file, which would hold
 * the event loop.
 */
export class Tree {
  readonly #core: Core;
  readonly #quota: Quota;
  readonly #contents = new Map<Inode, Content>();
  readonly #devices = new Map<Link, number>();

  constructor(quota: Quota) {
    this.#core = memfs({}, { cwd: "/", process: VM_PROCESS }).vol._core;
    this.#quota = quota;
    this.root.node.perm = 0o755;
    // memfs counts `.` and `..` of the root twice.
    this.root.node.nlink = 2;
  }

  get root(): Link {
    return this.#core.root;
  }

  makeDirectory(parent: Link, name: string, mode: number, call: Call): Link {
    this.#quota.takeInode(call);
    return parent.createChild(name, this.#core.createNode(S_IFDIR | mode));
  }

  makeSymlink(parent: Link, name: string, target: string, call: Call): void {
    this.#quota.takeInode(call);
    const inode = this.#core.createNode(S_IFLNK | LINK_MODE);
    inode.symlink = target;
    parent.createChild(name, inode);
  }

  /** Puts a file at a name and removes the old one. The caller has taken its inode and content from the quota. */
  placeFile(parent: Link, name: string, content: Content, mode: number): void {
    const old = parent.children.get(name);
    if (old !== undefined) this.remove(old);
    const inode = this.#core.createNode(S_IFREG | mode);
    this.#contents.set(inode, content);
    parent.createChild(name, inode);
  }

  /** Removes a file, a link or an empty directory. */
  remove(link: Link): void {
    this.#detach(link);
    link.parent = undefined;
    this.#quota.release(this.#contents.get(link.node)?.size ?? 0);
    this.#contents.delete(link.node);
    this.#core.deleteNode(link.node);
  }

  move(link: Link, parent: Link, name: string): void {
    this.#detach(link);
    link.name = name;
    parent.setChild(name, link);
  }

  /** Marks a directory as another device, which is read-only. */
  mount(link: Link): void {
    this.#devices.set(link, ROOT_DEVICE + 1 + this.#devices.size);
    link.node.uid = OVERFLOW_ID;
    link.node.gid = OVERFLOW_ID;
  }

  /** @throws AgentVmError `EROFS` for a file that stands for a mount */
  assertOwn(link: Link, path: string): void {
    OWN_DEVICE.assertHolds(this.deviceOf(link), path);
  }

  deviceOf(link: Link): number {
    for (let at: Link | undefined = link; at !== undefined; at = parentOf(at)) {
      const device = this.#devices.get(at);
      if (device !== undefined) return device;
    }
    return ROOT_DEVICE;
  }

  isMountPoint(link: Link): boolean {
    return this.#devices.has(link);
  }

  wasRemoved(link: Link): boolean {
    return link.parent === undefined && link !== this.root;
  }

  contentOf(link: Link): Content {
    return this.#contents.get(link.node) ?? new Content();
  }

  /** Frees all files. */
  clear(): void {
    this.#core.reset();
    this.#contents.clear();
  }

  /** Removes an entry from its directory. memfs's deleteChild uses the paths of entries, which a move leaves stale. */
  #detach(link: Link): void {
    const parent = link.parent;
    if (parent === undefined) return;
    parent.children.delete(link.name);
    parent.length--;
    if (link.node.isDirectory()) {
      link.children.delete("..");
      parent.node.nlink--;
    }
    parent.node.mtime = new Date();
  }
}

/** Returns the parent directory. `undefined` for the root, which memfs makes its own parent. */
export function parentOf(link: Link): Link | undefined {
  return link.parent === link ? undefined : link.parent;
}

/** Yields the names and entries of a directory, without `.` and `..`. */
export function* childrenOf(link: Link): Generator<[string, Link]> {
  for (const [name, child] of link.children)
    if (child !== undefined && name !== "." && name !== "..") yield [name, child];
}
