import { constants } from "node:fs";
import { memfs, type Volume } from "memfs";
import type { Call } from "../posix.ts";
import { Content } from "./content.ts";
import type { Quota } from "./quota.ts";

/** memfs's directory entry, its inode, and the volume that hands them out. */
type Core = Volume["_core"];
export type Link = Core["root"];
export type Inode = Link["node"];

const { S_IFDIR, S_IFLNK, S_IFREG } = constants;

/** The VM's user, and what stands for the host's. */
const VM_ID = 1000;
const OVERFLOW_ID = 65534;

const LINK_MODE = 0o777;
const ROOT_DEVICE = 1;

/** memfs takes user ids from a process; here every file is the VM user's. */
const VM_PROCESS = {
  getuid: () => VM_ID,
  getgid: () => VM_ID,
  cwd: () => "/",
  platform: "linux",
  env: {},
  emitWarning: () => undefined,
};

/**
 * Directory entries and inodes are memfs's. What Linux asks of rename, of freed inodes and of limits is done here,
 * where memfs does it otherwise; contents are kept beside it, since memfs keeps a file in one buffer that it doubles
 * and copies, which would hold the event loop.
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
    // memfs counts the root's own `.` and `..` twice over.
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

  /** Puts a file in place of what the name held; the inode and the content have been taken from the quota already. */
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

  /** Marks a directory as another device, which nothing writes to. */
  mount(link: Link): void {
    this.#devices.set(link, ROOT_DEVICE + 1 + this.#devices.size);
    link.node.uid = OVERFLOW_ID;
    link.node.gid = OVERFLOW_ID;
  }

  isForeign(link: Link): boolean {
    return this.deviceOf(link) !== ROOT_DEVICE;
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

  /** Forgets everything. */
  clear(): void {
    this.#core.reset();
    this.#contents.clear();
  }

  /** memfs's own deleteChild goes by a path that it would have to rewrite in all that lies below a moved directory. */
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

/** The directory above; the root has none, though memfs makes it its own parent. */
export function parentOf(link: Link): Link | undefined {
  return link.parent === link ? undefined : link.parent;
}

/** Names and entries of a directory, without `.` and `..`. */
export function* childrenOf(link: Link): Generator<[string, Link]> {
  for (const [name, child] of link.children)
    if (child !== undefined && name !== "." && name !== "..") yield [name, child];
}
