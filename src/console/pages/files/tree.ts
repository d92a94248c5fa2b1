import type { DirEntry, VmHandle } from "../../../client/index.ts";

export interface TreeRow extends DirEntry {
  name: string;
  depth: number;
  isOpen: boolean;
}

/** Entries that one directory shows. */
const MOST_ENTRIES = 20_000;

/** Lists one directory: directories first, then by name. */
export async function listFolder(vm: VmHandle, path: string): Promise<DirEntry[]> {
  const entries = await vm.readdirRecursive(path, { maxDepth: 0 });
  const rank = ({ type }: DirEntry) => (type === "directory" ? 0 : 1);
  return entries
    .sort((a, b) => rank(a) - rank(b) || (nameOf(a.path) < nameOf(b.path) ? -1 : 1))
    .slice(0, MOST_ENTRIES);
}

/** Lays the open directories out as rows. */
export function rowsOf(folders: ReadonlyMap<string, readonly DirEntry[]>, root: string): TreeRow[] {
  const rows: TreeRow[] = [];
  const add = (folder: string, depth: number) => {
    for (const entry of folders.get(folder) ?? []) {
      const isOpen = entry.type === "directory" && folders.has(entry.path);
      rows.push({ ...entry, name: nameOf(entry.path), depth, isOpen });
      if (isOpen) add(entry.path, depth + 1);
    }
  };
  add(root, 0);
  return rows;
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1) || "/";
}

export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

export function joined(folder: string, name: string): string {
  return folder === "/" ? `/${name}` : `${folder}/${name}`;
}
