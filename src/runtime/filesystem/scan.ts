import { matchesGlob } from "node:path";
import { MAX_PATH_BYTES } from "../../api/limits.ts";
import { pause, visitAll } from "../../base/pace.ts";
import { sortByName } from "../../base/sort.ts";
import { VM_MOUNTS } from "../sandbox/mount-table.ts";
import type { TreeCursor, TreeNode, TreePlace } from "../sandbox/persistent-tree.ts";
import { codeOf } from "../sandbox/posix.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import { PathWriter, pathOf, ROOT } from "../sandbox/tree-path.ts";

/** Maximum scans of a tree that processes keep changing. The last scan counts. */
const MAX_ROUNDS = 3;

/** Memory of a node without its name, and of the lists that have it. */
const NODE_BYTES = 200;

/** Depth of the deepest mount point. */
const MOUNT_DEPTH = 4;

/** Node of the tree with its place. */
export type ScannedNode = TreeNode & TreePlace;

interface Scan {
  /** Parents before children, the names of a directory in order. */
  nodes: ScannedNode[];
  /** Number of sockets, FIFOs and devices, which are not kept. */
  skipped: number;
  /** Directories that the server may not read. */
  unreadable: string[];
}

/** Whether a checkpoint leaves a place out. */
export type Excludes = (place: TreePlace, paths: PathWriter) => boolean;

/** @param globs of absolute paths, e.g. `"/workspace/**\/node_modules"` */
export function excludes(globs: readonly string[] = []): Excludes {
  return (place, paths) => {
    if (globs.length === 0 && place.depth > MOUNT_DEPTH) return false;
    // Globs of longer paths, which no program can name, would hold the event loop.
    if (paths.pathAbove(place).length + place.name.length >= MAX_PATH_BYTES) return false;
    const path = paths.pathOf(place);
    return VM_MOUNTS.get(path)?.kept === false || globs.some((glob) => matchesGlob(path, glob));
  };
}

interface ScanOptions {
  isExcluded: Excludes;
  /** Pays for the nodes. */
  account: TreeAccount;
  /** Directory to scan. @default the root */
  top?: TreePlace;
}

/**
 * Scans all nodes that a checkpoint keeps. If a directory has changed by the end of the scan, the scan is repeated, up to
 * MAX_ROUNDS times in all.
 *
 * @throws AgentVmError `limit_exceeded` for a tree that needs too much memory
 */
export async function scanTree(reader: TreeCursor, options: ScanOptions): Promise<Scan> {
  for (let round = 1; ; round++) {
    const scan = await scanOnce(reader, options);
    if (round === MAX_ROUNDS || (await isUnchanged(reader, scan))) return scan;
    options.account.release();
  }
}

/** Reorders the nodes of a scan so that each directory is followed by its contents. */
export async function depthFirst(
  nodes: readonly ScannedNode[],
  top: TreePlace = ROOT,
): Promise<ScannedNode[]> {
  const children = new Map<TreePlace, ScannedNode[]>();
  await visitAll(nodes, (node) => {
    const parent = node.parent ?? ROOT;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [node]);
    else siblings.push(node);
  });
  const ordered: ScannedNode[] = [];
  /** Iterators over the directories from the top down to the current one. */
  const open = [iterate(children.get(top))];
  for (let siblings = open.at(-1); siblings !== undefined; siblings = open.at(-1)) {
    const turn = pause();
    if (turn !== null) await turn;
    const next = siblings.next();
    if (next.done) open.pop();
    else {
      ordered.push(next.value);
      if (next.value.type === "directory") open.push(iterate(children.get(next.value)));
    }
  }
  return ordered;
}

const iterate = (nodes: readonly ScannedNode[] = []): Iterator<ScannedNode> => nodes.values();

async function scanOnce(reader: TreeCursor, { isExcluded, account, top = ROOT }: ScanOptions): Promise<Scan> {
  const scan: Scan = { nodes: [], skipped: 0, unreadable: [] };
  const paths = new PathWriter();
  /** Directories to read, the next one last. */
  const pending: TreePlace[] = [top];
  for (let parent = pending.pop(); parent !== undefined; parent = pending.pop()) {
    const directory = parent;
    const below: typeof pending = [];
    await visitAll(await listQuietly(reader, directory, scan), (found) => {
      const node: ScannedNode = { ...found, parent: directory, depth: directory.depth + 1 };
      if (isExcluded(node, paths)) return;
      if (node.type === "other") {
        scan.skipped += 1;
        return;
      }
      account.charge(NODE_BYTES + 2 * node.name.length);
      scan.nodes.push(node);
      if (node.type === "directory") below.push(node);
    });
    for (const next of below.reverse()) pending.push(next);
  }
  return scan;
}

/** Lists a directory. A removed directory is empty; an unreadable one is recorded in the scan. */
async function listQuietly(reader: TreeCursor, directory: TreePlace, scan: Scan): Promise<TreeNode[]> {
  try {
    return await sortByName(await reader.list(directory));
  } catch (error) {
    const code = codeOf(error);
    if (code === "EACCES") scan.unreadable.push(pathOf(directory));
    else if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    return [];
  }
}

async function isUnchanged(reader: TreeCursor, { nodes }: Scan): Promise<boolean> {
  for (const node of nodes) {
    if (node.type !== "directory") continue;
    const now = await statQuietly(reader, node);
    if (now?.ino !== node.ino || now.ctimeMs !== node.ctimeMs) return false;
  }
  return true;
}

async function statQuietly(reader: TreeCursor, place: TreePlace): Promise<TreeNode | undefined> {
  try {
    return await reader.stat(place);
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}
