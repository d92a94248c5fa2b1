import * as fs from "node:fs";
import { encodeName, isTemporaryName } from "../../names.ts";
import { type Call, codeOf, posixError } from "../../posix.ts";
import { BATCH_ENTRIES } from "./calls.ts";
import { at, closeElsewhere, DIRECTORY, descriptorPath, isLarge, NODE } from "./descriptors.ts";
import { openListing } from "./listing.ts";
import type { Entry, Place, Slot } from "./place.ts";
import type { Directory, Root } from "./root.ts";
import { seconds } from "./times.ts";

const DIRECTORY_MODE = 0o755;
const PERMISSION_BITS = 0o777;
const SETTABLE_BITS = 0o7777;
const MAX_TEMPORARIES = 1000;
/** Temporary files that another thread frees. All VMs share the server's descriptors. */
const MAX_HELD = 256;

export async function makeDirectory(root: Root, place: Place, call: Call): Promise<void> {
  if (place.nameless || place.entry !== null) throw posixError("EEXIST", call);
  const slot = place.writable(call);
  await root.calls.mkdir(at(slot.directory.fd, slot.name), DIRECTORY_MODE);
  await adopt(root, slot, (stats) => stats.isDirectory());
}

/** Makes a directory in an open one, unless it exists. @returns the directory, which the caller closes */
export async function makeDirectoryIn(
  root: Root,
  directory: Directory,
  name: string,
  call: Call,
): Promise<Directory> {
  root.assertSearchable(directory.stats, call);
  root.assertChangeable(directory, undefined, call);
  try {
    await root.calls.mkdir(at(directory.fd, name), DIRECTORY_MODE);
    await adopt(root, { directory, name }, (stats) => stats.isDirectory());
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  const fd = await openDirectory(root, at(directory.fd, name), call);
  try {
    const stats = fs.fstatSync(fd);
    return { fd, stats, mount: root.mountOf(stats, directory.mount), name };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

async function openDirectory(root: Root, path: string | Buffer, call: Call): Promise<number> {
  try {
    return await root.calls.open(path, DIRECTORY);
  } catch (error) {
    // Something else has the name, as mkdir(2) says.
    if (codeOf(error) === "ENOTDIR" || codeOf(error) === "ELOOP") throw posixError("EEXIST", call);
    throw error;
  }
}

export async function makeSymlink(root: Root, place: Place, call: Call, target: string): Promise<void> {
  if (place.nameless || place.entry !== null) throw posixError("EEXIST", call);
  if (place.slash || target === "") throw posixError("ENOENT", call);
  const slot = place.writable(call, call.destination);
  await root.calls.symlink(encodeName(target), at(slot.directory.fd, slot.name));
  await adopt(root, slot, (stats) => stats.isSymbolicLink());
}

export async function removeFile(root: Root, place: Place, call: Call): Promise<void> {
  if (place.nameless) throw posixError("EISDIR", call);
  const path = place.writablePath(call);
  const { stats } = place.existing(call);
  if (stats.isDirectory()) throw posixError("EISDIR", call);
  place.assertNoMountPoint(call);
  await root.calls.unlink(path);
}

export async function removeDirectory(root: Root, place: Place, call: Call): Promise<void> {
  const path = place.writablePath(call);
  const entry = place.existing(call);
  if (!entry.stats.isDirectory()) throw posixError("ENOTDIR", call);
  place.assertNoMountPoint(call);
  try {
    await root.calls.rmdir(path);
  } catch (error) {
    if (codeOf(error) !== "ENOTEMPTY") throw error;
    const held = await removeTemporaries(root, entry);
    if (held === undefined) throw error;
    try {
      await root.calls.rmdir(path);
    } finally {
      // Before, the removal would wait for locks of the file system that a thread holds while it frees a file.
      await Promise.all(held.map((each) => closeElsewhere(each)));
    }
  }
}

export async function rename(root: Root, from: Place, to: Place, call: Call): Promise<void> {
  const source = from.writablePath(call);
  const { stats } = from.existing(call);
  const { directory, name } = to.writable(call, call.destination);
  if (to.slash && !stats.isDirectory()) throw posixError("ENOTDIR", call);
  from.assertNoMountPoint(call);
  to.assertNoMountPoint(call);
  await root.calls.rename(source, at(directory.fd, name));
}

export async function changeMode(root: Root, entry: Entry, call: Call, mode: number): Promise<void> {
  root.assertOwned(entry, call);
  await root.calls.chmod(descriptorPath(entry.fd), mode & SETTABLE_BITS);
}

export async function changeTimes(
  root: Root,
  entry: Entry,
  call: Call,
  atimeMs: number,
  mtimeMs: number,
): Promise<void> {
  root.assertOwned(entry, call);
  await root.calls.utimes(descriptorPath(entry.fd), seconds(atimeMs), seconds(mtimeMs));
}

/**
 * Sets owner and mode of a new file or directory. A process of the VM may have replaced it. So this changes only a file
 * that the server owns on the device of its directory, by descriptor and not by name.
 */
async function adopt(root: Root, slot: Slot, isMade: (stats: fs.Stats) => boolean): Promise<void> {
  let fd: number;
  try {
    fd = await root.calls.open(at(slot.directory.fd, slot.name), NODE);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  try {
    const stats = fs.fstatSync(fd);
    if (!isMade(stats) || !root.isIn(slot.directory, stats) || stats.uid !== process.geteuid?.()) return;
    await root.ownPath(fd);
    // The server's umask may have cleared bits.
    if (stats.isDirectory() && (stats.mode & PERMISSION_BITS) !== DIRECTORY_MODE)
      await root.calls.chmod(descriptorPath(fd), DIRECTORY_MODE);
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
async function removeTemporaries({ calls }: Root, { fd }: Entry): Promise<number[] | undefined> {
  const directory = openListing(fd);
  const held: number[] = [];
  let isEmpty = false;
  let count = 0;
  let freedHere = 0;
  try {
    for (let isEnd = false; !isEnd; ) {
      const entries = await calls.entries(directory);
      isEnd = entries.length < BATCH_ENTRIES;
      for (const { name } of entries) {
        if (!isTemporaryName(name) || count === MAX_TEMPORARIES || held.length === MAX_HELD) return undefined;
        count += 1;
        const path = at(fd, name);
        const { blocks } = await calls.lstat(path);
        // Many files together take as long as a large one.
        if (isLarge({ blocks: freedHere + blocks })) held.push(await calls.open(path, NODE));
        else freedHere += blocks;
        await calls.unlink(path);
      }
    }
    isEmpty = count > 0;
    return isEmpty ? held : undefined;
  } finally {
    directory.closeSync();
    if (!isEmpty) for (const each of held) void closeElsewhere(each);
  }
}
