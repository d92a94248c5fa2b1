import { splitExisting } from "../sandbox/existing-names.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { codeOf, readOnlyPath } from "../sandbox/posix.ts";
import { parentPath } from "./paths.ts";

/** Makes a directory unless it exists. Throws EEXIST like mkdir(2) if the path is something else. */
export async function makeDirectory(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.mkdir(path);
  } catch (error) {
    const exists = codeOf(error) === "EEXIST" && (await isDirectory(fs, path));
    if (!exists) throw error;
  }
}

/** Makes a directory and its missing parents. */
export async function makeDirectories(fs: FileSystem, path: string): Promise<void> {
  try {
    if (await makeDirectoryIn(fs, path)) return;
    const { existing, missing } = await splitExisting(path, (part) => fs.stat(part));
    await fs.mkdirBelow(existing, missing);
  } catch (error) {
    // Name the caller's path in the error, not a parent.
    throw codeOf(error) === "EROFS" ? readOnlyPath(path) : error;
  }
}

/** Returns `false` if the parent directory is missing. */
async function makeDirectoryIn(fs: FileSystem, path: string): Promise<boolean> {
  try {
    await makeDirectory(fs, path);
    return true;
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    return false;
  }
}

/** Opens a file for writing. If its directory is missing, makes the directory and tries again. */
export async function withParents<T>(fs: FileSystem, path: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  try {
    await makeDirectories(fs, parentPath(path));
  } catch (error) {
    // Name the caller's file in the error, not its directory.
    throw codeOf(error) === "EROFS" ? readOnlyPath(path) : error;
  }
  return open();
}

/** Whether a path leads to a directory, directly or by a link. */
export async function isDirectory(fs: FileSystem, path: string): Promise<boolean> {
  try {
    return (await fs.stat(path)).isDirectory;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return false;
  }
}
