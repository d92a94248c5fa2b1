import * as fs from "node:fs";
import { encodeName, isTemporaryName } from "../../names.ts";
import { type Call, codeOf, O_PATH, posixError } from "../../posix.ts";
import { at, closeElsewhere, DIRECTORY, descriptorPath, isLarge, NODE } from "./descriptors.ts";
import type { Entry, Place, Slot } from "./place.ts";
import type { Directory, Root } from "./root.ts";

const DIRECTORY_MODE = 0o755;
const PERMISSION_BITS = 0o777;
const SETTABLE_BITS = 0o7777;
const MAX_TEMPORARIES = 1000;
/** Temporary files that another thread frees. All VMs share the server's descriptors. */
const MAX_HELD = 256;

/** Added to a time for utimes(2), which takes seconds as a double, so that the time reads back equal. */
const ROUNDING_MS = 0.0005;

export function makeDirectory(root: Root, place: Place, call: Call): void {
  if (place.nameless || place.entry !== null) throw posixError("EEXIST", call);
  const slot = place.writable(call);
  fs.mkdirSync(at(slot.directory.fd, slot.name), DIRECTORY_MODE);
  adopt(root, slot, (stats) => stats.isDirectory());
}

/** Makes a directory in an open one, unless it exists. @returns the directory, which the caller closes */
export function makeDirectoryIn(root: Root, directory: Directory, name: string, call: Call): Directory {
  root.assertSearchable(directory.stats, call);
  root.assertChangeable(directory, undefined, call);
  try {
    fs.mkdirSync(at(directory.fd, name), DIRECTORY_MODE);
    adopt(root, { directory, name }, (stats) => stats.isDirectory());
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  const fd = openDirectory(at(directory.fd, name), call);
  try {
    const stats = fs.fstatSync(fd);
    return { fd, stats, mount: root.mountOf(stats, directory.mount), name };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

function openDirectory(path: string | Buffer, call: Call): number {
  try {
    return fs.openSync(path, DIRECTORY);
  } catch (error) {
    // Something else has the name, as mkdir(2) says.
    if (codeOf(error) === "ENOTDIR" || codeOf(error) === "ELOOP") throw posixError("EEXIST", call);
    throw error;
  }
}

export function makeSymlink(root: Root, place: Place, call: Call, target: string): void {
  if (place.nameless || place.entry !== null) throw posixError("EEXIST", call);
  if (place.slash || target === "") throw posixError("ENOENT", call);
  const slot = place.writable(call, call.destination);
  fs.symlinkSync(encodeName(target), at(slot.directory.fd, slot.name));
  adopt(root, slot, (stats) => stats.isSymbolicLink());
}

export function removeFile(place: Place, call: Call): void {
  if (place.nameless) throw posixError("EISDIR", call);
  const path = place.writablePath(call);
  const { stats } = place.existing(call);
  if (stats.isDirectory()) throw posixError("EISDIR", call);
  place.assertNoMountPoint(call);
  fs.unlinkSync(path);
}

/** @returns a promise if another thread frees files meanwhile */
export function removeDirectory(place: Place, call: Call): Promise<void> | undefined {
  const path = place.writablePath(call);
  const entry = place.existing(call);
  if (!entry.stats.isDirectory()) throw posixError("ENOTDIR", call);
  place.assertNoMountPoint(call);
  try {
    fs.rmdirSync(path);
  } catch (error) {
    if (codeOf(error) !== "ENOTEMPTY") throw error;
    const held = removeTemporaries(entry);
    if (held === undefined) throw error;
    let freed: Promise<unknown>;
    try {
      fs.rmdirSync(path);
    } finally {
      // Before, the removal would wait for locks of the file system that a thread holds while it frees a file.
      freed = Promise.all(held.map((each) => closeElsewhere(each)));
    }
    return freed.then(() => undefined);
  }
  return undefined;
}

export function rename(from: Place, to: Place, call: Call): void {
  const source = from.writablePath(call);
  const { stats } = from.existing(call);
  const { directory, name } = to.writable(call, call.destination);
  if (to.slash && !stats.isDirectory()) throw posixError("ENOTDIR", call);
  from.assertNoMountPoint(call);
  to.assertNoMountPoint(call);
  fs.renameSync(source, at(directory.fd, name));
}

export function changeMode(root: Root, entry: Entry, call: Call, mode: number): void {
  root.assertOwned(entry, call);
  fs.chmodSync(descriptorPath(entry.fd), mode & SETTABLE_BITS);
}

export function changeTimes(root: Root, entry: Entry, call: Call, atimeMs: number, mtimeMs: number): void {
  root.assertOwned(entry, call);
  fs.utimesSync(descriptorPath(entry.fd), seconds(atimeMs), seconds(mtimeMs));
}

/** Converts a time for utimes(2). */
export function seconds(milliseconds: number): number {
  return (milliseconds + ROUNDING_MS) / 1000;
}

/**
 * Sets owner and mode of a new file or directory. A process of the VM may have replaced it. So this changes only a file
 * that the server owns on the device of its directory, by descriptor and not by name.
 */
function adopt(root: Root, slot: Slot, isMade: (stats: fs.Stats) => boolean): void {
  let fd: number;
  try {
    fd = fs.openSync(at(slot.directory.fd, slot.name), O_PATH | fs.constants.O_NOFOLLOW);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  try {
    const stats = fs.fstatSync(fd);
    if (!isMade(stats) || !root.isIn(slot.directory, stats) || stats.uid !== process.geteuid?.()) return;
    root.ownPath(fd);
    // The server's umask may have cleared bits.
    if (stats.isDirectory() && (stats.mode & PERMISSION_BITS) !== DIRECTORY_MODE)
      fs.chmodSync(descriptorPath(fd), DIRECTORY_MODE);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Removes temporary files that were left in a directory that looks empty. Removes at most MAX_TEMPORARIES, of which
 * at most MAX_HELD take long to free, so that no process can make the call slow.
 *
 * @returns descriptors of removed files, which another thread must close, or `undefined` if the directory is not empty
 */
function removeTemporaries({ fd }: Entry): number[] | undefined {
  const directory = fs.opendirSync(descriptorPath(fd), { encoding: "latin1" });
  const held: number[] = [];
  let isEmpty = false;
  let freedHere = 0;
  try {
    for (let count = 0; count < MAX_TEMPORARIES && held.length < MAX_HELD; count++) {
      const dirent = directory.readSync();
      if (dirent === null) {
        isEmpty = count > 0;
        return isEmpty ? held : undefined;
      }
      if (!isTemporaryName(dirent.name)) return undefined;
      const path = at(fd, dirent.name);
      const { blocks } = fs.lstatSync(path);
      // Many files together take as long as a large one.
      if (isLarge({ blocks: freedHere + blocks })) held.push(fs.openSync(path, NODE));
      else freedHere += blocks;
      fs.unlinkSync(path);
    }
    return undefined;
  } finally {
    directory.closeSync();
    if (!isEmpty) for (const each of held) void closeElsewhere(each);
  }
}
