import { isUtf8 } from "node:buffer";
import type { RootSnapshotExport, SnapshotEntry } from "../../api/types.ts";
import type { ResultBudget } from "../filesystem/result-budget.ts";
import type { PersistentTree } from "../sandbox/persistent-tree.ts";
import { VM_UID } from "../sandbox/sandbox.ts";
import { depthFirst, type Excludes, type ScannedNode, scanTree } from "./scan.ts";

const ROOT_MODE = "0755";

/** The VM's own tree in agentOS's form: depth first from the root, siblings by name. */
export async function exportTree(
  tree: PersistentTree,
  isExcluded: Excludes,
  budget: ResultBudget,
): Promise<RootSnapshotExport> {
  const entries: SnapshotEntry[] = [
    { path: "/", type: "directory", mode: ROOT_MODE, uid: VM_UID, gid: VM_UID },
  ];
  const { nodes } = await scanTree(tree, isExcluded);
  for (const node of await depthFirst(nodes)) {
    const entry = await describe(tree, node, budget);
    if (entry === undefined) continue;
    budget.add(entry);
    entries.push(entry);
  }
  return {
    kind: "snapshot-export",
    source: { format: "agent-os-filesystem-snapshot-v1", filesystem: { entries } },
  };
}

async function describe(
  tree: PersistentTree,
  node: ScannedNode,
  budget: ResultBudget,
): Promise<SnapshotEntry | undefined> {
  const { path, type } = node;
  if (type === "other") return undefined;
  const mode = node.mode.toString(8).padStart(4, "0");
  const entry: SnapshotEntry = { path, type, mode, uid: VM_UID, gid: VM_UID };
  if (type === "directory") return entry;
  if (type === "symlink") return { ...entry, target: await tree.readlink(path) };
  // Base64 takes a third more.
  if ((node.size * 4) / 3 > budget.left) throw budget.exceeded(Math.ceil((node.size * 4) / 3));
  const file = await tree.open(path, node.ino);
  if (file === undefined) return undefined;
  try {
    const whole = Buffer.alloc(file.stat().size);
    const content = whole.subarray(0, await file.read(whole, 0));
    return isUtf8(content)
      ? { ...entry, content: content.toString("utf8"), encoding: "utf8" }
      : { ...entry, content: content.toString("base64"), encoding: "base64" };
  } finally {
    await file.close();
  }
}
