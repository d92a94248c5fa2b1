import { pause } from "../../base/pace.ts";
import { joinPath } from "../filesystem/paths.ts";
import { look, realPlace } from "../filesystem/real-path.ts";
import { joinNames, splitExisting } from "../sandbox/existing-names.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { OwnDevice } from "../sandbox/mount-table.ts";
import type { TreeCursor, TreePlace } from "../sandbox/persistent-tree.ts";
import { codeOf, posixError } from "../sandbox/posix.ts";
import { placeIn } from "../sandbox/tree-path.ts";
import { isHostLink } from "../sandbox/vm-layout.ts";
import { above, type Staging } from "./staging.ts";

/** Staged node that is renamed into place with everything below it. */
interface Move {
  name: string;
  /** `true` if the node replaces an existing file or link. */
  replaces: boolean;
}

/** Changes that a staged archive makes to the tree. */
interface Plan {
  moves: Move[];
  /** Directories of the archive that exist already. */
  merged: string[];
  /** Places of the existing directories, also of those in mounts, by name. The archive's top is `""`. */
  places: ReadonlyMap<string, TreePlace>;
}

/**
 * Puts a staged archive in place. Directories merge; files and links replace files and links. Conflicts are found before
 * the first change. A directory replaces a link to the host's configuration. If a process of the VM interferes later, all changes are undone.
 *
 * @throws AgentVmError EISDIR or ENOTDIR if a directory and another node would replace each other, EROFS for a path that is
 * not the VM's own
 */
export async function place(fs: FileSystem, staging: Staging, path: string): Promise<void> {
  const undo: (() => Promise<unknown>)[] = [];
  const cursor = fs.tree.cursor();
  try {
    const own = new OwnDevice((await fs.lstat("/")).dev);
    await makeTarget(fs, own, path, undo);
    const { moves, merged, places } = await plan({ fs, own, cursor, staging, path });
    const carried = carriedDirectories(staging, moves);
    for (const name of carried) await staging.setMetadata(name);
    for (const [index, move] of moves.entries()) await applyMove(move, { fs, staging, path, index, undo });
    await setDirectoryMetadata(fs, staging, path, { merged, carried, undo, places, cursor });
  } catch (error) {
    for (const step of undo.reverse()) {
      // A step may fail because a process has changed the tree since. The other steps still run.
      await step().catch(() => undefined);
    }
    throw error;
  } finally {
    await cursor.close();
  }
}

/**
 * Makes the target directory and its missing parents.
 *
 * @throws AgentVmError EROFS if the directory, or the one that it would be made in, is mounted into the VM
 */
async function makeTarget(
  fs: FileSystem,
  own: OwnDevice,
  path: string,
  undo: (() => Promise<unknown>)[],
): Promise<void> {
  const { existing, missing } = await splitExisting(path, (part) => fs.stat(part));
  own.assertHolds((await fs.stat(existing)).dev, path);
  for (const count of missing.keys())
    undo.push(() => fs.rmdir(joinNames(existing, missing.slice(0, count + 1))));
  await fs.mkdirBelow(existing, missing);
  if (!(await fs.stat(path)).isDirectory) throw posixError("ENOTDIR", { syscall: "mkdir", path });
}

interface PlanOptions {
  fs: FileSystem;
  own: OwnDevice;
  cursor: TreeCursor;
  staging: Staging;
  /** Directory that receives the archive. */
  path: string;
}

async function plan({ fs, own, cursor, staging, path }: PlanOptions): Promise<Plan> {
  const top = await realPlace(fs, cursor, path, { syscall: "mkdir", path });
  const places = new Map([["", top]]);
  const found: Plan = { moves: [], merged: [], places };
  const merged = new Map<string, { dev?: number }>([["", await fs.stat(path)]]);
  for (const [name, type] of staging.types) {
    await pause();
    // The parent is not merged, so this entry moves together with a directory above it.
    const parent = above(name);
    const directory = merged.get(parent);
    if (directory === undefined) continue;
    const target = joinPath(path, name);
    const place = placeIn(places.get(parent) as TreePlace, name.slice(parent === "" ? 0 : parent.length + 1));
    const there = await look(fs, cursor, place).catch(ignoreMissing);
    if (there?.isDirectory && type === "directory") {
      merged.set(name, there);
      places.set(name, place);
      if (own.holds(there.dev)) found.merged.push(name);
      continue;
    }
    for (const node of [directory, there]) if (node !== undefined) own.assertHolds(node.dev, target);
    if (there?.isDirectory) throw posixError("EISDIR", { syscall: "open", path: target });
    const isHosts = there?.isSymbolicLink && isHostLink(target, await fs.readlink(target));
    if (there !== undefined && type === "directory" && !isHosts)
      throw posixError("ENOTDIR", { syscall: "mkdir", path: target });
    found.moves.push({ name, replaces: there !== undefined });
  }
  return found;
}

interface MoveOptions {
  fs: FileSystem;
  staging: Staging;
  /** Directory that receives the archive. */
  path: string;
  /** Number of the move in its plan. */
  index: number;
  /** Steps that undo the changes made until now. */
  undo: (() => Promise<unknown>)[];
}

async function applyMove(
  { name, replaces }: Move,
  { fs, staging, path, index, undo }: MoveOptions,
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

/**
 * Finds the described directories that a move takes along with a directory above them, deepest first. Their metadata is set before the move,
 * while the staging is in their part of the tree: afterwards each one would cost a walk from the root.
 */
function carriedDirectories(staging: Staging, moves: readonly Move[]): Set<string> {
  const moving = new Set(moves.map(({ name }) => name));
  const carried: string[] = [];
  for (const [name, type] of staging.types) {
    if (type !== "directory" || !moving.has(above(name))) continue;
    moving.add(name);
    if (staging.directories.has(name)) carried.push(name);
  }
  return new Set(carried.reverse());
}

interface MetadataOptions {
  /** Directories of the archive that existed before. */
  merged: readonly string[];
  /** Directories that have their metadata already. */
  carried: ReadonlySet<string>;
  /** Steps that undo the changes made until now. */
  undo: (() => Promise<unknown>)[];
  places: Plan["places"];
  cursor: TreeCursor;
}

/** Sets mode and times of the other directories, deepest first, after all moves: a move changes the time of its directory. */
async function setDirectoryMetadata(
  fs: FileSystem,
  staging: Staging,
  path: string,
  { merged, carried, undo, places, cursor }: MetadataOptions,
): Promise<void> {
  const existing = new Set(["", ...merged]);
  const isMounted = (name: string) => staging.types.get(name) === "directory" && !existing.has(name);
  for (const [name, metadata] of [...staging.directories].reverse()) {
    if (carried.has(name)) continue;
    const place = name === "" ? undefined : places.get(name);
    const node = place && (await cursor.stat(place).catch(() => undefined));
    if (place !== undefined && node?.type === "directory") {
      undo.push(() => cursor.setMetadata(place, node));
      await cursor.setMetadata(place, metadata);
      continue;
    }
    const target = name === "" ? path : joinPath(path, name);
    // The VM's root keeps its mode, and a link to the target directory has no mode.
    if (target === "/" || (await fs.lstat(target)).isSymbolicLink) continue;
    if (existing.has(name)) {
      const { mode, mtimeMs } = await fs.stat(target);
      undo.push(() => fs.tree.setMetadata(target, { mode: mode & 0o7777, mtimeMs }));
    } else if (isMounted(name) && (await fs.tree.stat(target)) === undefined) continue;
    await fs.tree.setMetadata(target, metadata);
  }
}

function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT") throw error;
}
