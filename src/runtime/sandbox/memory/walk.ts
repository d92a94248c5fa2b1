import { type Call, posixError } from "../posix.ts";
import { Place } from "./place.ts";
import { type Link, parentOf, type Tree } from "./tree.ts";

/** As in the kernel: MAXSYMLINKS, NAME_MAX. */
const MAX_LINKS = 40;
const MAX_NAME_BYTES = 255;

/** Finds what a path names, as Linux does: links followed up to 40, `..` stopping at the root. */
export function walk(tree: Tree, call: Call, path: string, follow: boolean): Place {
  const pending = components(path).reverse();
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
      pending.push(...components(target).reverse());
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

function components(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function endsWithSlash(path: string): boolean {
  return path.length > 1 && (path.endsWith("/") || path.endsWith("/."));
}

function lookUp(directory: Link, name: string, call: Call): Link | null {
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw posixError("ENAMETOOLONG", call);
  return directory.getChild(name) ?? null;
}
