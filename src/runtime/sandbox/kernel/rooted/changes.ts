import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  renameSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from "node:fs";
import { type Call, codeOf, posixError, readOnlyPath } from "../../posix.ts";
import { isTemporaryName } from "../../temporary.ts";
import { at, descriptorPath, O_PATH } from "./descriptors.ts";
import { encodeName } from "./names.ts";
import type { Entry, Place, Slot } from "./place.ts";
import type { Root } from "./root.ts";

const DIRECTORY_MODE = 0o755;
const PERMISSION_BITS = 0o777;
const SETTABLE_BITS = 0o7777;
const MAX_TEMPORARIES = 1000;

/** utimes(2) takes seconds as a double; half a microsecond more, and a time reads back as itself. */
const ROUNDING_MS = 0.0005;

export function makeDirectory(root: Root, place: Place, call: Call): void {
  if (place.nameless || place.entry !== null) throw posixError("EEXIST", call);
  const slot = place.writable(call);
  mkdirSync(at(slot.directory.fd, slot.name), DIRECTORY_MODE);
  adopt(root, slot, (stats) => stats.isDirectory());
}

export function makeSymlink(root: Root, place: Place, call: Call, target: string): void {
  if (place.nameless || place.entry !== null) throw posixError("EEXIST", call);
  if (place.slash || target === "") throw posixError("ENOENT", call);
  const slot = place.writable(call, call.destination);
  symlinkSync(encodeName(target), at(slot.directory.fd, slot.name));
  adopt(root, slot, (stats) => stats.isSymbolicLink());
}

export function removeFile(place: Place, call: Call): void {
  if (place.nameless) throw posixError("EISDIR", call);
  const path = place.writablePath(call);
  const { stats } = place.existing(call);
  if (stats.isDirectory()) throw posixError("EISDIR", call);
  place.assertNoMountPoint(call);
  unlinkSync(path);
}

export function removeDirectory(place: Place, call: Call): void {
  const path = place.writablePath(call);
  const entry = place.existing(call);
  if (!entry.stats.isDirectory()) throw posixError("ENOTDIR", call);
  place.assertNoMountPoint(call);
  try {
    rmdirSync(path);
  } catch (error) {
    if (codeOf(error) !== "ENOTEMPTY" || !removeTemporaries(entry)) throw error;
    rmdirSync(path);
  }
}

export function rename(from: Place, to: Place, call: Call): void {
  const source = from.writablePath(call);
  const { stats } = from.existing(call);
  const { directory, name } = to.writable(call, call.destination);
  if (to.slash && !stats.isDirectory()) throw posixError("ENOTDIR", call);
  from.assertNoMountPoint(call);
  to.assertNoMountPoint(call);
  renameSync(source, at(directory.fd, name));
}

export function changeMode(root: Root, entry: Entry, call: Call, mode: number): void {
  if (root.isForeign(entry.stats)) throw readOnlyPath(call.path);
  chmodSync(descriptorPath(entry.fd), mode & SETTABLE_BITS);
}

export function changeTimes(root: Root, entry: Entry, call: Call, atimeMs: number, mtimeMs: number): void {
  if (root.isForeign(entry.stats)) throw readOnlyPath(call.path);
  utimesSync(descriptorPath(entry.fd), seconds(atimeMs), seconds(mtimeMs));
}

/** A time as utimes(2) takes it. */
export function seconds(milliseconds: number): number {
  return (milliseconds + ROUNDING_MS) / 1000;
}

/**
 * Owner and mode for what was just made. A process of the VM may have put something else there since: only what
 * the server owns on the VM's own device is touched, and never by its name.
 */
function adopt(root: Root, slot: Slot, isMade: (stats: Stats) => boolean): void {
  let fd: number;
  try {
    fd = openSync(at(slot.directory.fd, slot.name), O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  try {
    const stats = fstatSync(fd);
    if (!isMade(stats) || root.isForeign(stats) || stats.uid !== process.geteuid?.()) return;
    root.ownPath(fd);
    // The server's umask may have taken bits away.
    if (stats.isDirectory() && (stats.mode & PERMISSION_BITS) !== DIRECTORY_MODE)
      chmodSync(descriptorPath(fd), DIRECTORY_MODE);
  } finally {
    closeSync(fd);
  }
}

/**
 * A directory that looks empty may hold forgotten temporary files. Removes some thousand at most, so that nobody can
 * make this take long.
 *
 * @returns whether the directory is empty now
 */
function removeTemporaries({ fd }: Entry): boolean {
  const directory = opendirSync(descriptorPath(fd), { encoding: "latin1" });
  try {
    for (let count = 0; count < MAX_TEMPORARIES; count++) {
      const dirent = directory.readSync();
      if (dirent === null) return count > 0;
      if (!isTemporaryName(dirent.name)) return false;
      unlinkSync(at(fd, dirent.name));
    }
    return false;
  } finally {
    directory.closeSync();
  }
}
