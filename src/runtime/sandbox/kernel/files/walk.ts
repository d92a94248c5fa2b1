import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { decodeName } from "../../names.ts";
import {
  type Call,
  codeOf,
  endsWithSlash,
  MAX_LINKS,
  MAX_WALKED_NAMES,
  namesIn,
  O_PATH,
  posixError,
  type WalkOptions,
} from "../../posix.ts";
import { at, DIRECTORY } from "./descriptors.ts";
import { type Entry, Place } from "./place.ts";
import type { Directory, Root } from "./root.ts";

const LOOK = O_PATH | constants.O_NOFOLLOW;

/** Links that one walk finds replaced before it has read them. A process that exchanges names can be as fast as the walk. */
const MAX_LOST_LINKS = 1_000;

/** Directories of the way that are open at a time, besides the root. All VMs share the server's descriptors. */
const MAX_OPEN = 64;

/** In place of the descriptor of a directory that the walk has closed on its way down. */
const CLOSED = -1;

/**
 * Resolves a path inside the root. The result is never outside, even if processes change the tree during the walk.
 *
 * - Each name is looked up in the directory found before it, and opened without following links.
 * - A link is read as text and walked from here. An absolute link starts at the VM's root.
 * - `..` returns to the previous directory and stops at the root.
 * - A way longer than MAX_OPEN directories closes the first of them, so that it holds few descriptors.
 * - A link of procfs such as `/proc/1/root` leads to the path in its text, inside this root. The kernel would jump out.
 */
export async function walk(root: Root, call: Call, path: string, { follow }: WalkOptions): Promise<Place> {
  const way: Directory[] = [root.directory()];
  const pending = namesIn(path).reverse();
  let slash = endsWithSlash(path);
  let names = 0;
  let links = 0;
  let lost = 0;
  try {
    for (;;) {
      const name = pending.pop();
      if (name === undefined) return namelessPlace(root, way, slash);
      if (++names > MAX_WALKED_NAMES) throw posixError(links > 0 ? "ELOOP" : "ENAMETOOLONG", call);
      if (name === "..") {
        if (way.length > 1) stepUp(way, call);
        continue;
      }
      const directory = way[way.length - 1] as Directory;
      root.assertSearchable(directory.stats, call);
      root.assertShared(directory, name, call);
      const last = pending.length === 0;
      const entry = await look(root, directory, name);
      if (entry?.stats.isSymbolicLink() && (!last || follow)) {
        closeSync(entry.fd);
        root.assertFollowable(directory, entry.stats, call);
        const target = await readTarget(root, directory.fd, name, lost);
        if (target === undefined) {
          if (++lost > MAX_LOST_LINKS) throw posixError("ELOOP", call);
          pending.push(name);
          continue;
        }
        if (++links > MAX_LINKS) throw posixError("ELOOP", call);
        if (target.startsWith("/")) while (way.length > 1) closeLast(way);
        if (last) slash ||= endsWithSlash(target);
        pending.push(...namesIn(target).reverse());
      } else if (last) {
        return placeOf(root, way, name, entry, slash);
      } else if (entry === null) {
        throw posixError("ENOENT", call);
      } else {
        stepDown(way, { ...entry, name });
        if (!entry.stats.isDirectory()) throw posixError("ENOTDIR", call);
      }
    }
  } catch (error) {
    while (way.length > 1) closeLast(way);
    throw error;
  }
}

/** Opens a name with O_PATH. @returns `null` if nothing has this name */
async function look(root: Root, directory: Directory, name: string): Promise<Entry | null> {
  let fd: number;
  try {
    fd = await root.calls.open(at(directory.fd, name), LOOK);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
  try {
    const stats = fstatSync(fd);
    return { fd, stats, mount: root.mountOf(stats, directory.mount) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Reads a link's text.
 *
 * @param lost how often the name was not a link any more. The number of tries depends on it: a process that exchanges names in step with
 * the walk falls out of step
 * @returns `undefined` if the name is not a link any more
 */
async function readTarget(
  root: Root,
  directory: number,
  name: string,
  lost: number,
): Promise<string | undefined> {
  for (let tries = 0; tries <= lost % 8; tries++) {
    try {
      return decodeName(await root.calls.readlink(at(directory, name)));
    } catch (error) {
      if (codeOf(error) !== "EINVAL") throw error;
    }
  }
  return undefined;
}

function placeOf(root: Root, way: Directory[], name: string, entry: Entry | null, slash: boolean): Place {
  const directory = way.pop() as Directory;
  closeRest(way, directory.fd, root.fd);
  return new Place(root, { directory, name }, entry, slash);
}

/** The path ended with the root or `..`, so its directory is already open. */
function namelessPlace(root: Root, way: Directory[], slash: boolean): Place {
  const directory = way.pop() as Directory;
  closeRest(way, directory.fd, root.fd);
  return new Place(root, null, directory, slash);
}

function stepDown(way: Directory[], directory: Directory): void {
  way.push(directory);
  const passed = way[way.length - 1 - MAX_OPEN];
  if (passed === undefined || passed === way[0] || passed.fd === CLOSED) return;
  closeSync(passed.fd);
  passed.fd = CLOSED;
}

/** Returns to the directory before. A walk that has closed it opens it by `..`, and does not go elsewhere if a process has moved it. */
function stepUp(way: Directory[], call: Call): void {
  const [above, last] = way.slice(-2) as [Directory, Directory];
  if (above.fd === CLOSED) {
    const fd = openSync(at(last.fd, ".."), DIRECTORY);
    above.fd = fd;
    const stats = fstatSync(fd);
    if (stats.ino !== above.stats.ino || stats.dev !== above.stats.dev) throw posixError("ENOENT", call);
  }
  closeLast(way);
}

function closeRest(way: Directory[], kept: number, rootFd: number): void {
  for (const { fd } of way) if (fd !== CLOSED && fd !== kept && fd !== rootFd) closeSync(fd);
  way.length = 0;
}

function closeLast(way: Directory[]): void {
  const directory = way.pop();
  if (directory !== undefined && directory.fd !== CLOSED) closeSync(directory.fd);
}
