import { makeDirectory } from "../filesystem/parents.ts";
import { parentPath } from "../filesystem/paths.ts";
import { type Excludes, scanTree } from "../filesystem/scan.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { VM_MOUNTS } from "../sandbox/mount-table.ts";
import type { TreeNode } from "../sandbox/persistent-tree.ts";
import { codeOf } from "../sandbox/posix.ts";
import { PathWriter, pathOf } from "../sandbox/tree-path.ts";
import { isHostLink } from "../sandbox/vm-layout.ts";
import type { TreeEntry } from "./entries.ts";
import type { StoredTree } from "./root.ts";

/** Mode bits without which a VM's user cannot use a directory. */
const OWNER_BITS = 0o700;

/** Files without which programs do not know their user. */
const ACCOUNTS = ["/etc/passwd", "/etc/group"];

/**
 * Leaves only the entries in a fresh tree that the VM keeps: directories and links that the stored tree has too, links to the
 * host's configuration, and the whole base tree's missing entries if the stored tree lacks a place that commands need.
 *
 * @returns paths of the base tree that the stored tree lacks and the VM keeps
 */
export async function clearTree(
  files: FileSystem,
  stored: StoredTree,
  isExcluded: Excludes,
): Promise<string[]> {
  const fresh = await freshEntries(files, isExcluded);
  const deepest = Math.max(...[...fresh.keys()].map((path) => path.split("/").length));
  const kept = new Set<string>();
  const types = new Map<string, TreeEntry["type"]>();
  const paths = new PathWriter();
  let isWhole = true;
  const onLost = () => {
    isWhole = false;
  };
  for await (const page of stored.pages(undefined, onLost)) {
    for (const entry of page) {
      if (entry.place.depth >= deepest) continue;
      const path = paths.pathOf(entry.place);
      const found = fresh.get(path);
      if (found === undefined) continue;
      types.set(path, entry.type);
      const isSame =
        entry.type === found &&
        (entry.type === "directory" ||
          (entry.type === "symlink" && entry.target === (await files.tree.readlink(path))));
      if (isSame) kept.add(path);
    }
  }
  // An entry below a stored link or file has no place of its own.
  const isMissing = (path: string) => {
    if (types.has(path)) return false;
    for (let at = parentPath(path); at !== "/"; at = parentPath(at))
      if ((types.get(at) ?? "directory") !== "directory") return false;
    return true;
  };
  const missing = [...fresh.keys()].filter((path) => path !== "/" && isMissing(path));
  const isBroken = missing.some((path) => ACCOUNTS.includes(path) || VM_MOUNTS.get(path) !== undefined);
  const putBack: string[] = [];
  for (const path of missing) {
    const isHost = fresh.get(path) === "symlink" && isHostLink(path, await files.tree.readlink(path));
    // A page that is lost may have the entry.
    if (isBroken || isHost || !isWhole) kept.add(path);
    if (isBroken && !isHost && isWhole) putBack.push(path);
  }
  for (const [path, type] of [...fresh].reverse()) {
    if (kept.has(path)) continue;
    if (type === "directory") await removeEmpty(files, path);
    else await files.unlink(path);
  }
  return putBack;
}

/** Types of the entries of a fresh tree by path, parents before children. */
async function freshEntries(
  { tree }: FileSystem,
  isExcluded: Excludes,
): Promise<Map<string, TreeNode["type"]>> {
  const account = tree.budget.open();
  const reader = tree.cursor();
  try {
    const { nodes } = await scanTree(reader, { isExcluded, account });
    const types = new Map<string, TreeNode["type"]>();
    for (const row of nodes.rows()) types.set(pathOf(nodes.at(row)), nodes.typeOf(row));
    return types;
  } finally {
    account.close();
    await reader.close();
  }
}

/** Removes a directory, unless it has a mount point. */
async function removeEmpty(files: FileSystem, path: string): Promise<void> {
  try {
    await files.rmdir(path);
  } catch (error) {
    if (!["EBUSY", "ENOTEMPTY"].includes(codeOf(error) ?? "")) throw error;
  }
}

/**
 * Makes the places of every VM directories again that its user can enter. A link that leads nowhere or a file in such a
 * place is moved aside.
 *
 * @returns the places that were put back
 */
export async function repairPlaces(files: FileSystem): Promise<string[]> {
  const putBack: string[] = [];
  for (const path of VM_MOUNTS.paths("own")) {
    try {
      if (await repair(files, path)) putBack.push(path);
    } catch (error) {
      // The tree is full, or the place leads to a file of the host. The other files must not be lost for it.
      if (codeOf(error) === undefined) throw error;
    }
  }
  return putBack;
}

/** @returns `false` if the place is in order */
async function repair(files: FileSystem, path: string): Promise<boolean> {
  const found = await unlessMissing(files.stat(path));
  if (found?.isDirectory) {
    if ((found.mode & OWNER_BITS) === OWNER_BITS) return false;
    await files.chmod(path, (found.mode & 0o7777) | OWNER_BITS);
    return true;
  }
  const isTaken = (await unlessMissing(files.lstat(path))) !== undefined;
  if (isTaken) await files.rename(path, await aside(files, path));
  await makeDirectory(files, path);
  return true;
}

async function aside(files: FileSystem, path: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = `${path}.replaced-${number}`;
    if ((await unlessMissing(files.lstat(name))) === undefined) return name;
  }
}

async function unlessMissing<Found>(looking: Promise<Found>): Promise<Found | undefined> {
  return await looking.catch((error: unknown) => {
    if (["ENOENT", "ELOOP", "ENOTDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  });
}
