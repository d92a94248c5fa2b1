import { matchesGlob } from "node:path";
import { pause, visitAll } from "../sandbox/pace.ts";
import type { PersistentTree, TreeNode } from "../sandbox/persistent-tree.ts";
import { codeOf } from "../sandbox/posix.ts";
import { sortByName } from "../sort.ts";

/** Not worth keeping, or not the VM's to keep. */
const EXCLUDED = ["/tmp", "/run", "/proc", "/dev", "/sys"];

/** Scans of a tree that processes change meanwhile; the last one counts. */
const MAX_ROUNDS = 3;

/** A node of the tree with its path, parents before children, names of a directory in order. */
export interface ScannedNode extends TreeNode {
  path: string;
}

export interface Scan {
  nodes: ScannedNode[];
  /** Sockets, FIFOs and devices, which are not kept. */
  skipped: number;
  /** Directories that the server may not read. */
  unreadable: string[];
}

/** Whether a checkpoint leaves a path out. */
export type Excludes = (path: string) => boolean;

/** @param globs of absolute paths, e.g. `"/workspace/**\/node_modules"` */
export function excludes(globs: readonly string[] = []): Excludes {
  return (path) => EXCLUDED.includes(path) || globs.some((glob) => matchesGlob(path, glob));
}

/**
 * Everything that a checkpoint keeps, as of one moment: where a directory has changed by the end of the scan, the scan
 * is made again.
 */
export async function scanTree(tree: PersistentTree, isExcluded: Excludes, top = ""): Promise<Scan> {
  for (let round = 1; ; round++) {
    const scan = await scanOnce(tree, isExcluded, top);
    if (round === MAX_ROUNDS || (await isUnchanged(tree, scan))) return scan;
  }
}

/** A scan has the entries of a directory together; here each directory is followed by what lies in it. */
export async function depthFirst(nodes: readonly ScannedNode[], top = ""): Promise<ScannedNode[]> {
  const children = new Map<string, ScannedNode[]>();
  await visitAll(nodes, (node) => {
    const parent = node.path.slice(0, node.path.lastIndexOf("/"));
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [node]);
    else siblings.push(node);
  });
  const ordered: ScannedNode[] = [];
  /** Where the listing of each directory from the top down to the current one has come to. */
  const open = [iterate(children.get(top))];
  for (let siblings = open.at(-1); siblings !== undefined; siblings = open.at(-1)) {
    const turn = pause();
    if (turn !== null) await turn;
    const next = siblings.next();
    if (next.done) open.pop();
    else {
      ordered.push(next.value);
      if (next.value.type === "directory") open.push(iterate(children.get(next.value.path)));
    }
  }
  return ordered;
}

const iterate = (nodes: readonly ScannedNode[] = []): Iterator<ScannedNode> => nodes.values();

async function scanOnce(tree: PersistentTree, isExcluded: Excludes, top: string): Promise<Scan> {
  const scan: Scan = { nodes: [], skipped: 0, unreadable: [] };
  /** Directories still to be read, the next one last. */
  const pending = [top];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const below: string[] = [];
    await visitAll(await listQuietly(tree, directory, scan), (node) => {
      const path = `${directory}/${node.name}`;
      if (isExcluded(path)) return;
      if (node.type === "other") scan.skipped += 1;
      else scan.nodes.push({ ...node, path });
      if (node.type === "directory") below.push(path);
    });
    for (const path of below.reverse()) pending.push(path);
  }
  return scan;
}

/** A directory that has gone meanwhile is empty; one that cannot be read is told. */
async function listQuietly(tree: PersistentTree, directory: string, scan: Scan): Promise<TreeNode[]> {
  try {
    return await sortByName(await tree.list(directory === "" ? "/" : directory));
  } catch (error) {
    const code = codeOf(error);
    if (code === "EACCES") scan.unreadable.push(directory);
    else if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    return [];
  }
}

async function isUnchanged(tree: PersistentTree, { nodes }: Scan): Promise<boolean> {
  for (const { type, path, ino, ctimeMs } of nodes) {
    if (type !== "directory") continue;
    const now = await tree.stat(path);
    if (now?.ino !== ino || now.ctimeMs !== ctimeMs) return false;
  }
  return true;
}
