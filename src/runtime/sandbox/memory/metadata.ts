import type { VirtualStat } from "../../../api/methods/files.ts";
import type { FileEntry } from "../files.ts";
import { sectorsOf } from "./quota.ts";
import type { Link, Tree } from "./tree.ts";

/** Size of a directory entry in tmpfs, also of `.` and `..`. */
const ENTRY_BYTES = 20;
const OWN_ENTRIES = 2;

export function describeLink(tree: Tree, link: Link): VirtualStat {
  const { node } = link;
  const size = sizeOf(tree, link);
  return {
    mode: node.mode,
    size,
    blocks: node.isFile() ? sectorsOf(size) : 0,
    dev: tree.deviceOf(link),
    rdev: 0,
    isDirectory: node.isDirectory(),
    isSymbolicLink: node.isSymlink(),
    atimeMs: node.atime.getTime(),
    mtimeMs: node.mtime.getTime(),
    ctimeMs: node.ctime.getTime(),
    birthtimeMs: node.btime.getTime(),
    ino: node.ino,
    nlink: node.nlink,
    uid: node.uid,
    gid: node.gid,
  };
}

export function sizeOf(tree: Tree, link: Link): number {
  if (link.node.isSymlink()) return Buffer.byteLength(link.node.symlink);
  if (link.node.isFile()) return tree.contentOf(link).size;
  const own = Number(link.children.has(".")) + Number(link.children.has(".."));
  return (OWN_ENTRIES + link.children.size - own) * ENTRY_BYTES;
}

export function typeOf(link: Link): FileEntry["type"] {
  if (link.node.isDirectory()) return "directory";
  return link.node.isSymlink() ? "symlink" : "file";
}
