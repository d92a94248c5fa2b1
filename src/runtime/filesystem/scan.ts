import { matchesGlob } from "node:path";
import { MAX_PATH_BYTES } from "../../api/limits.ts";
import { VM_MOUNTS } from "../sandbox/mount-table.ts";
import type { TreeCursor, TreeNode, TreePlace } from "../sandbox/persistent-tree.ts";
import { codeOf } from "../sandbox/posix.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import { PathWriter, pathOf } from "../sandbox/tree-path.ts";
import { NodeTable, TOP } from "./node-table.ts";

/** Maximum scans of a tree that processes keep changing. The last scan counts. */
const MAX_ROUNDS = 3;

/** Unreadable directories that a scan lists. */
export const MAX_UNREADABLE = 100;

/** Depth of the deepest mount point. */
const MOUNT_DEPTH = 4;

interface Scan {
  /** Parents before children, the names of a directory in order. */
  nodes: NodeTable;
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
    options.account.reset();
  }
}

async function scanOnce(reader: TreeCursor, options: ScanOptions): Promise<Scan> {
  const scan: Scan = { nodes: new NodeTable(options.top), skipped: 0, unreadable: [] };
  const paths = new PathWriter();
  /** Rows of directories to read, the next one last. */
  const pending = [TOP];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const first = scan.nodes.length;
    await listInto(scan, directory, reader, options, paths);
    await scan.nodes.sortFrom(first);
    for (let row = scan.nodes.length - 1; row >= first; row--)
      if (scan.nodes.typeOf(row) === "directory") pending.push(row);
  }
  return scan;
}

/** Adds the nodes of a directory. A removed directory is empty; an unreadable one is recorded in the scan. */
async function listInto(
  scan: Scan,
  directory: number,
  reader: TreeCursor,
  { isExcluded, account }: ScanOptions,
  paths: PathWriter,
): Promise<void> {
  const parent = scan.nodes.placeOf(directory);
  try {
    await reader.visit(parent, (found) => {
      if (isExcluded({ name: found.name, parent, depth: parent.depth + 1 }, paths)) return;
      if (found.type === "other") {
        scan.skipped += 1;
        return;
      }
      const before = scan.nodes.bytes;
      scan.nodes.add(found, directory);
      account.charge(scan.nodes.bytes - before);
    });
  } catch (error) {
    const code = codeOf(error);
    if (code === "EACCES") {
      if (scan.unreadable.length < MAX_UNREADABLE) scan.unreadable.push(pathOf(parent));
    } else if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
  }
}

async function isUnchanged(reader: TreeCursor, { nodes }: Scan): Promise<boolean> {
  for (const row of nodes.rows()) {
    if (nodes.typeOf(row) !== "directory") continue;
    const node = nodes.at(row);
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
