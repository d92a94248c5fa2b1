import type { FileSystem } from "../sandbox/files.ts";
import { codeOf, readOnlyPath } from "../sandbox/posix.ts";
import { parentPath, stripSlash } from "./paths.ts";

/** Makes a directory where none is; whatever else is there already is EEXIST, as with mkdir(2). */
export async function makeDirectory(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.mkdir(path);
  } catch (error) {
    const exists = codeOf(error) === "EEXIST" && (await isDirectory(fs, path));
    if (!exists) throw error;
  }
}

/** Makes a directory and all that are missing above it. */
export async function makeDirectories(fs: FileSystem, path: string): Promise<void> {
  try {
    const missing: string[] = [];
    for (let at = stripSlash(path); !(await makeDirectoryIn(fs, at)); at = parentPath(at)) missing.push(at);
    for (const directory of missing.reverse()) await makeDirectory(fs, directory);
  } catch (error) {
    // The caller named this path, not one above it.
    throw codeOf(error) === "EROFS" ? readOnlyPath(path) : error;
  }
}

/** `false` where the directory above is missing. */
async function makeDirectoryIn(fs: FileSystem, path: string): Promise<boolean> {
  try {
    await makeDirectory(fs, path);
    return true;
  } catch (error) {
    if (codeOf(error) !== "ENOENT" || path === "/") throw error;
    return false;
  }
}

/** Opens a file for writing, and where its directory is missing, makes that first and tries again. */
export async function withParents<T>(fs: FileSystem, path: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  try {
    await makeDirectories(fs, parentPath(path));
  } catch (error) {
    // The same here: the caller named the file.
    throw codeOf(error) === "EROFS" ? readOnlyPath(path) : error;
  }
  return open();
}

/** Whether a path leads to a directory, by a link or not. */
export async function isDirectory(fs: FileSystem, path: string): Promise<boolean> {
  try {
    return (await fs.stat(path)).isDirectory;
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return false;
  }
}
