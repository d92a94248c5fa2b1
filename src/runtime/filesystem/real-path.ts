import type { FileSystem } from "../sandbox/files.ts";
import type { TreeCursor, TreePlace } from "../sandbox/persistent-tree.ts";
import { type Call, MAX_LINKS, namesIn, posixError } from "../sandbox/posix.ts";
import { pathOf, placeIn, ROOT } from "../sandbox/tree-path.ts";

/** Kind and device of an entry. */
interface Seen {
  isDirectory: boolean;
  isSymbolicLink: boolean;
  /** Device of the entry. `undefined` for the VM's own files. */
  dev?: number;
}

/**
 * Looks at an entry like lstat(2). The cursor finds one of the VM's own files from the place of its last look: a walk from the root for
 * each directory of a deep tree would take quadratic time.
 *
 * @throws AgentVmError `ENOENT` if there is no such entry
 */
export async function look(fs: FileSystem, cursor: TreeCursor, place: TreePlace): Promise<Seen> {
  // The cursor does not leave the VM's own files.
  const node = await cursor.stat(place).catch(() => undefined);
  if (node === undefined) return await fs.lstat(pathOf(place));
  return { isDirectory: node.type === "directory", isSymbolicLink: node.type === "symlink" };
}

/**
 * Resolves all links of a path, like realpath(3).
 *
 * @throws AgentVmError `ENOENT` if the path does not exist
 */
export async function realPath(fs: FileSystem, path: string, call: Call): Promise<string> {
  const cursor = fs.tree.cursor();
  try {
    return pathOf(await realPlace(fs, cursor, path, call));
  } finally {
    await cursor.close();
  }
}

/** Resolves all links of a path. See `realPath`. */
export async function realPlace(
  fs: FileSystem,
  cursor: TreeCursor,
  path: string,
  call: Call,
): Promise<TreePlace> {
  const pending = namesIn(path).reverse();
  let at = ROOT;
  let links = 0;
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === "..") {
      at = at.parent ?? ROOT;
      continue;
    }
    const next = placeIn(at, name);
    const { isSymbolicLink, isDirectory } = await look(fs, cursor, next);
    if (!isSymbolicLink) {
      if (pending.length > 0 && !isDirectory) throw posixError("ENOTDIR", call);
      at = next;
      continue;
    }
    if (++links > MAX_LINKS) throw posixError("ELOOP", call);
    const target = await fs.readlink(pathOf(next));
    if (target.startsWith("/")) at = ROOT;
    pending.push(...namesIn(target).reverse());
  }
  return at;
}
