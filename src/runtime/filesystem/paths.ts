import { posix } from "node:path";
import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import { MAX_PATH_BYTES } from "../../api/limits.ts";
import { fitsUtf8 } from "../../api/size.ts";
import { VM_MOUNTS } from "../sandbox/mount-table.ts";
import { posixError, readOnlyPath } from "../sandbox/posix.ts";

/** Characters of an over-long path that an error message shows. */
const SHOWN_CHARACTERS = 80;

/**
 * Checks a caller's path: absolute, normalized except for one trailing slash, without NUL, at most MAX_PATH_BYTES.
 *
 * @returns the same path. A trailing slash stays: with it the file system requires a directory
 * @example
 * checkPath("/a/../b", "open"); // throws invalid_argument: Path must be normalized: /a/../b
 */
export function checkPath(path: string, syscall: string, argument = "path"): string {
  if (typeof path !== "string") throw invalidArgument(argument, "a path", path);
  if (path.includes("\0")) throw invalidArgument(argument, "a path without NUL", path);
  if (!path.startsWith("/")) throw refused("absolute", path, argument);
  if (!fitsUtf8(path, MAX_PATH_BYTES)) throw posixError("ENAMETOOLONG", { syscall, path: shown(path) });
  const normal = posix.normalize(path);
  // normalize() keeps one trailing slash, and joins many into one.
  if (normal !== path) throw refused("normalized", path, argument);
  return path;
}

/** Checks the path of a change. Refuses paths in file systems of the kernel, such as /proc. */
export function checkWritablePath(path: string, syscall: string, argument = "path"): string {
  checkPath(path, syscall, argument);
  if (isReadOnly(path)) throw readOnlyPath(path);
  return path;
}

export function isReadOnly(path: string): boolean {
  return VM_MOUNTS.at(path)?.kind === "kernel";
}

/** Returns the path without its trailing slash. */
export function stripSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** Returns the path of a directory's entry. */
export function joinPath(directory: string, name: string): string {
  return directory.endsWith("/") ? directory + name : `${directory}/${name}`;
}

/** Returns the directory that holds a path. */
export function parentPath(path: string): string {
  return posix.dirname(stripSlash(path));
}

function refused(what: "absolute" | "normalized", path: string, argument: string): AgentVmError {
  return new AgentVmError("invalid_argument", `Path must be ${what}: ${shown(path)}`, { argument });
}

function shown(path: string): string {
  return path.length > MAX_PATH_BYTES ? `${path.slice(0, SHOWN_CHARACTERS)}...` : path;
}
