import type { VirtualStat } from "../../api/types.ts";
import { makeDirectory } from "../filesystem/parents.ts";
import { joinPath, parentPath } from "../filesystem/paths.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { pause } from "../sandbox/pace.ts";
import { codeOf, posixError, readOnlyPath } from "../sandbox/posix.ts";
import type { Staging } from "./staging.ts";

/** A staged node that goes to a place in one step, with all below it. */
interface Move {
  name: string;
  /** Something is there that has to go. */
  replaces: boolean;
}

/** What a staged archive will do to the tree. */
interface Plan {
  moves: Move[];
  /** Directories of the archive that are there already. */
  merged: string[];
}

/**
 * Puts a staged archive in its place: directories are merged, files and links take the place of files and links. What
 * cannot be done is found before anything is changed; where a process of the VM gets in the way after all, everything is
 * put back.
 *
 * @throws AgentVmError EISDIR, ENOTDIR where a directory and something else would take each other's place, EROFS for
 * what is not the VM's own
 */
export async function place(fs: FileSystem, staging: Staging, path: string): Promise<void> {
  const undo: (() => Promise<unknown>)[] = [];
  try {
    await makePlace(fs, path, undo);
    const { moves, merged } = await plan(fs, staging, path);
    for (const [index, move] of moves.entries()) await make(fs, staging, path, move, index, undo);
    await describeDirectories(fs, staging, path, merged, undo);
  } catch (error) {
    for (const step of undo.reverse()) {
      // One that fails meets what a process has done since; the others are still worth it.
      await step().catch(() => undefined);
    }
    throw error;
  }
}

/** Makes the directory that the archive goes to, where it is missing. */
async function makePlace(fs: FileSystem, path: string, undo: (() => Promise<unknown>)[]): Promise<void> {
  const missing: string[] = [];
  for (let at = path; (await look(fs, at, true)) === undefined; at = parentPath(at)) missing.push(at);
  for (const directory of missing.reverse()) {
    await makeDirectory(fs, directory);
    undo.push(() => fs.rmdir(directory));
  }
  if (!(await fs.stat(path)).isDirectory) throw posixError("ENOTDIR", { syscall: "mkdir", path });
}

async function plan(fs: FileSystem, staging: Staging, path: string): Promise<Plan> {
  const { dev } = await fs.lstat("/");
  const found: Plan = { moves: [], merged: [] };
  const merged = new Map([["", await fs.stat(path)]]);
  for (const [name, type] of staging.types) {
    await pause();
    // What lies in a directory that moves as a whole moves with it.
    const above = merged.get(name.includes("/") ? parentPath(`/${name}`).slice(1) : "");
    if (above === undefined) continue;
    const target = joinPath(path, name);
    const there = await look(fs, target, false);
    if (there?.isDirectory && type === "directory") {
      merged.set(name, there);
      if (there.dev === dev) found.merged.push(name);
      continue;
    }
    if (above.dev !== dev || (there !== undefined && there.dev !== dev)) throw readOnlyPath(target);
    if (there?.isDirectory) throw posixError("EISDIR", { syscall: "open", path: target });
    if (there !== undefined && type === "directory")
      throw posixError("ENOTDIR", { syscall: "mkdir", path: target });
    found.moves.push({ name, replaces: there !== undefined });
  }
  return found;
}

async function make(
  fs: FileSystem,
  staging: Staging,
  path: string,
  { name, replaces }: Move,
  index: number,
  undo: (() => Promise<unknown>)[],
): Promise<void> {
  const target = joinPath(path, name);
  const staged = staging.pathOf(name);
  if (replaces) {
    const aside = staging.asidePath(index);
    await fs.rename(target, aside);
    undo.push(() => fs.rename(aside, target));
  }
  await fs.rename(staged, target);
  undo.push(() => fs.rename(target, staged));
}

/** Mode and times of directories, deepest first, once nothing is moved into them any more. */
async function describeDirectories(
  fs: FileSystem,
  staging: Staging,
  path: string,
  merged: readonly string[],
  undo: (() => Promise<unknown>)[],
): Promise<void> {
  const standing = new Set(["", ...merged]);
  const isMounted = (name: string) => staging.types.get(name) === "directory" && !standing.has(name);
  for (const [name, metadata] of [...staging.directories].reverse()) {
    const target = name === "" ? path : joinPath(path, name);
    // A VM's root has the mode that it has, and a link that leads to the place has none.
    if (target === "/" || (await fs.lstat(target)).isSymbolicLink) continue;
    if (standing.has(name)) {
      const { mode, mtimeMs } = await fs.stat(target);
      undo.push(() => fs.tree.setMetadata(target, { mode: mode & 0o7777, mtimeMs }));
    } else if (isMounted(name) && (await fs.tree.stat(target)) === undefined) continue;
    await fs.tree.setMetadata(target, metadata);
  }
}

/** `undefined` where nothing is. */
async function look(fs: FileSystem, path: string, follow: boolean): Promise<VirtualStat | undefined> {
  try {
    return await (follow ? fs.stat(path) : fs.lstat(path));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
