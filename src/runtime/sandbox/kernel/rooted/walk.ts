import { closeSync, constants, fstatSync, openSync, readlinkSync } from "node:fs";
import { type Call, codeOf, posixError } from "../../posix.ts";
import { at, O_PATH } from "./descriptors.ts";
import { decodeName } from "./names.ts";
import { type Entry, Place } from "./place.ts";
import type { Directory, Root } from "./root.ts";

/** As in the kernel (MAXSYMLINKS). */
const MAX_LINKS = 40;

const LOOK = O_PATH | constants.O_NOFOLLOW;

/**
 * Finds what a path names inside the root, and never anything outside, however the tree changes meanwhile: each
 * component is looked up in the directory found before it and opened without following; links are read as text and
 * walked from here, absolute ones from our root; `..` goes back the way we came and stops at the root. A link of
 * procfs (`/proc/1/root`) leads where its text says, inside this root, never where the kernel would jump.
 */
export function walk(root: Root, call: Call, path: string, follow: boolean): Place {
  const way: Directory[] = [root.directory()];
  const pending = components(path).reverse();
  let slash = endsWithSlash(path);
  let links = 0;
  try {
    for (;;) {
      const name = pending.pop();
      if (name === undefined) return namelessPlace(root, way, slash);
      if (name === "..") {
        if (way.length > 1) closeLast(way);
        continue;
      }
      const directory = way[way.length - 1] as Directory;
      root.assertSearchable(directory.stats, call);
      root.assertShared(directory, name, call);
      const last = pending.length === 0;
      const entry = look(directory.fd, name);
      if (entry?.stats.isSymbolicLink() && (!last || follow)) {
        closeSync(entry.fd);
        root.assertFollowable(directory, entry.stats, call);
        if (++links > MAX_LINKS) throw posixError("ELOOP", call);
        const target = readTarget(directory.fd, name);
        if (target.startsWith("/")) while (way.length > 1) closeLast(way);
        if (last) slash ||= endsWithSlash(target);
        pending.push(...components(target).reverse());
      } else if (last) {
        return placeOf(root, way, name, entry, slash);
      } else if (entry === null) {
        throw posixError("ENOENT", call);
      } else {
        way.push({ ...entry, name });
        if (!entry.stats.isDirectory()) throw posixError("ENOTDIR", call);
      }
    }
  } catch (error) {
    while (way.length > 1) closeLast(way);
    throw error;
  }
}

function components(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function endsWithSlash(path: string): boolean {
  return path.length > 1 && (path.endsWith("/") || path.endsWith("/."));
}

/** Opens a name to look at it, nothing more. */
function look(directory: number, name: string): Entry | null {
  let fd: number;
  try {
    fd = openSync(at(directory, name), LOOK);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
  try {
    return { fd, stats: fstatSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A link's text. A name that has become something else meanwhile is looked up once more. */
function readTarget(directory: number, name: string): string {
  try {
    return decodeName(readlinkSync(at(directory, name), "latin1"));
  } catch (error) {
    if (codeOf(error) === "EINVAL") return name;
    throw error;
  }
}

function placeOf(root: Root, way: Directory[], name: string, entry: Entry | null, slash: boolean): Place {
  const directory = way.pop() as Directory;
  closeRest(way, directory.fd, root.fd);
  return new Place(root, { directory, name }, entry, slash);
}

/** The path ended at a directory that we already stand in. */
function namelessPlace(root: Root, way: Directory[], slash: boolean): Place {
  const directory = way.pop() as Directory;
  closeRest(way, directory.fd, root.fd);
  return new Place(root, null, directory, slash);
}

function closeRest(way: Directory[], kept: number, rootFd: number): void {
  for (const { fd } of way) if (fd !== kept && fd !== rootFd) closeSync(fd);
  way.length = 0;
}

function closeLast(way: Directory[]): void {
  const directory = way.pop();
  if (directory !== undefined) closeSync(directory.fd);
}
