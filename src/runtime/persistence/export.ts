import { isUtf8 } from "node:buffer";
import type { RootSnapshotExport, SnapshotEntry } from "../../api/methods/snapshot-types.ts";
import { pause } from "../../base/pace.ts";
import type { ScannedNode } from "../filesystem/node-table.ts";
import type { ResultBudget } from "../filesystem/result-budget.ts";
import { type Excludes, scanTree } from "../filesystem/scan.ts";
import type { PersistentTree, TreeCursor } from "../sandbox/persistent-tree.ts";
import { PathWriter } from "../sandbox/tree-path.ts";
import { VM_UID } from "../sandbox/vm-layout.ts";

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
  const account = tree.budget.open();
  const reader = tree.cursor();
  const paths = new PathWriter();
  try {
    const { nodes } = await tree.budget.read(account, () => scanTree(reader, { isExcluded, account }));
    for (const row of nodes.depthFirst()) {
      const turn = pause();
      if (turn !== null) await turn;
      const node = nodes.at(row);
      const entry = await describe(reader, node, paths.pathOf(node), budget);
      if (entry === undefined) continue;
      budget.add(entry);
      entries.push(entry);
    }
  } finally {
    account.close();
    await reader.close();
  }
  return {
    kind: "snapshot-export",
    source: { format: "agent-os-filesystem-snapshot-v1", filesystem: { entries } },
  };
}

async function describe(
  reader: TreeCursor,
  node: ScannedNode,
  path: string,
  budget: ResultBudget,
): Promise<SnapshotEntry | undefined> {
  const { type } = node;
  if (type === "other") return undefined;
  const mode = node.mode.toString(8).padStart(4, "0");
  const entry: SnapshotEntry = { path, type, mode, uid: VM_UID, gid: VM_UID };
  if (type === "directory") return entry;
  if (type === "symlink") return { ...entry, target: await reader.readlink(node) };
  // Base64 takes a third more.
  if ((node.size * 4) / 3 > budget.left) throw budget.exceeded(Math.ceil((node.size * 4) / 3));
  const file = await reader.open(node, node.ino);
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
