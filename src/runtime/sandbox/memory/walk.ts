import { type Call, endsWithSlash, MAX_LINKS, namesIn, posixError, type WalkOptions } from "../posix.ts";
import { Place } from "./place.ts";
import { type Link, parentOf, type Tree } from "./tree.ts";

const MAX_NAME_BYTES = 255;

/** Resolves a path as Linux does: follows up to 40 links, and `..` stops at the root. */
export function walk(tree: Tree, call: Call, path: string, { follow }: WalkOptions): Place {
  const pending = namesIn(path).reverse();
  let directory = tree.root;
  let slash = endsWithSlash(path);
  let links = 0;
  for (;;) {
    const name = pending.pop();
    if (name === undefined) return new Place(tree, null, directory, slash);
    if (name === "..") {
      directory = parentOf(directory) ?? directory;
      continue;
    }
    const last = pending.length === 0;
    const link = lookUp(directory, name, call);
    if (link?.node.isSymlink() && (!last || follow)) {
      if (++links > MAX_LINKS) throw posixError("ELOOP", call);
      const target = link.node.symlink;
      if (target.startsWith("/")) directory = tree.root;
      if (last) slash ||= endsWithSlash(target);
      pending.push(...namesIn(target).reverse());
    } else if (last) {
      return new Place(tree, { directory, name }, link, slash);
    } else if (link === null) {
      throw posixError("ENOENT", call);
    } else if (!link.node.isDirectory()) {
      throw posixError("ENOTDIR", call);
    } else {
      directory = link;
    }
  }
}

/** @returns `null` if nothing has this name */
export function lookUp(directory: Link, name: string, call: Call): Link | null {
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw posixError("ENAMETOOLONG", call);
  return directory.getChild(name) ?? null;
}
