import { MAX_PATH_BYTES } from "../../../api/limits.ts";
import { isTemporaryName } from "../names.ts";
import { type Call, posixError } from "../posix.ts";
import type { Place } from "./place.ts";
import { childrenOf, type Link, parentOf, type Tree } from "./tree.ts";
import { lookUp } from "./walk.ts";

const DIRECTORY_MODE = 0o755;
const SETTABLE_BITS = 0o7777;

export function makeDirectory(tree: Tree, place: Place, call: Call): void {
  if (place.nameless || place.link !== null) throw posixError("EEXIST", call);
  const { directory, name } = place.writable(call);
  tree.makeDirectory(directory, name, DIRECTORY_MODE, call);
}

/** Makes a directory in another, unless it exists. */
export function makeDirectoryIn(tree: Tree, directory: Link, name: string, call: Call): Link {
  const there = lookUp(directory, name, call);
  if (there?.node.isDirectory()) return there;
  if (there !== null) throw posixError("EEXIST", call);
  tree.assertOwn(directory, call.path);
  return tree.makeDirectory(directory, name, DIRECTORY_MODE, call);
}

export function makeSymlink(tree: Tree, place: Place, call: Call, target: string): void {
  if (place.nameless || place.link !== null) throw posixError("EEXIST", call);
  if (place.slash || target === "") throw posixError("ENOENT", call);
  if (Buffer.byteLength(target) > MAX_PATH_BYTES) throw posixError("ENAMETOOLONG", call);
  const { directory, name } = place.writable(call, call.destination);
  tree.makeSymlink(directory, name, target, call);
}

export function removeFile(tree: Tree, place: Place, call: Call): void {
  if (place.nameless) throw posixError("EISDIR", call);
  place.writable(call);
  const link = place.existing(call);
  if (link.node.isDirectory()) throw posixError("EISDIR", call);
  tree.remove(link);
}

export function removeDirectory(tree: Tree, place: Place, call: Call): void {
  const link = directoryToRemove(place, call);
  assertEmpty(tree, link, call);
  tree.remove(link);
}

/** Returns the directory at a path, if it may be removed. */
export function directoryToRemove(place: Place, call: Call): Link {
  place.writable(call);
  const link = place.existing(call);
  if (!link.node.isDirectory()) throw posixError("ENOTDIR", call);
  place.assertNoMountPoint(call);
  return link;
}

/** Removes an entry of a directory, unless another call removed or moved it. @returns `false` if it is not empty */
export function removeIfEmpty(tree: Tree, parent: Link | undefined, link: Link): boolean {
  if (tree.wasRemoved(link) || link.parent !== parent) return true;
  if (link.node.isDirectory() && !childrenOf(link).next().done) return false;
  tree.remove(link);
  return true;
}

export function rename(tree: Tree, from: Place, to: Place, call: Call): void {
  from.writable(call);
  const source = from.existing(call);
  const { directory, name } = to.writable(call, call.destination);
  const target = to.link;
  const isDirectory = source.node.isDirectory();
  if (to.slash && !isDirectory) throw posixError("ENOTDIR", call);
  from.assertNoMountPoint(call);
  to.assertNoMountPoint(call);
  if (target === source) return;
  if (isWithin(directory, source)) throw posixError("EINVAL", call);
  if (target !== null) {
    if (isWithin(source, target)) throw posixError("ENOTEMPTY", call);
    if (isDirectory && !target.node.isDirectory()) throw posixError("ENOTDIR", call);
    if (!isDirectory && target.node.isDirectory()) throw posixError("EISDIR", call);
    if (isDirectory) assertEmpty(tree, target, call);
    tree.remove(target);
  }
  tree.move(source, directory, name);
}

export function changeMode(tree: Tree, link: Link, call: Call, mode: number): void {
  tree.assertOwn(link, call.path);
  link.node.perm = mode & SETTABLE_BITS;
}

export function changeTimes(tree: Tree, link: Link, call: Call, atimeMs: number, mtimeMs: number): void {
  tree.assertOwn(link, call.path);
  link.node.atime = new Date(atimeMs);
  link.node.mtime = new Date(mtimeMs);
}

function isWithin(link: Link, ancestor: Link): boolean {
  for (let at: Link | undefined = link; at !== undefined; at = parentOf(at)) if (at === ancestor) return true;
  return false;
}

/** Checks that a directory looks empty, and removes temporary files that were left in it. */
function assertEmpty(tree: Tree, directory: Link, call: Call): void {
  const children = [...childrenOf(directory)];
  if (!children.every(([name, child]) => isTemporaryName(name) && !child.node.isDirectory()))
    throw posixError("ENOTEMPTY", call);
  for (const [, child] of children) tree.remove(child);
}
