import type { FileChange } from "../../api/methods/snapshot-types.ts";
import { pause } from "../../base/pace.ts";
import type { ResultBudget } from "../filesystem/result-budget.ts";
import type { TreePlace } from "../sandbox/persistent-tree.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import { PathWriter, StepReader } from "../sandbox/tree-path.ts";
import { entryMemory, type TreeEntry } from "./entries.ts";
import type { StoredTree } from "./root.ts";

/** Entries of a tree by place. */
export interface TreeEntries {
  entries: Map<TreePlace, TreeEntry>;
  /** Finds the same places for the paths of another tree. */
  steps: StepReader;
}

/**
 * Reads the entries of a stored tree.
 *
 * @param account pays for the entries
 * @throws AgentVmError `limit_exceeded`
 */
export async function readTree(stored: StoredTree, account: TreeAccount): Promise<TreeEntries> {
  const entries = new Map<TreePlace, TreeEntry>();
  const steps = new StepReader();
  for await (const page of stored.pages(steps)) {
    for (const entry of page) {
      account.charge(entryMemory(entry));
      entries.set(entry.place, entry);
    }
  }
  return { entries, steps };
}

/**
 * Compares two trees. Changes come in the order of the new tree, deletions last.
 *
 * @param before its entries are emptied: entries that the new tree has are removed
 * @param show returns a change as the result has it; `undefined` leaves it out. @default every change as it is
 */
export async function diffTrees(
  { entries: before, steps }: TreeEntries,
  after: StoredTree,
  budget: ResultBudget,
  show: (change: FileChange & { target?: string }) => FileChange | undefined = (change) => change,
): Promise<FileChange[]> {
  const changes: FileChange[] = [];
  const paths = new PathWriter();
  const report = (entry: TreeEntry, change: FileChange["change"]) => {
    const target = entry.type === "symlink" ? { target: entry.target } : {};
    const path = paths.pathOf(entry.place);
    const changed = show({ path, change, type: entry.type, size: sizeOf(entry), ...target });
    if (changed === undefined) return;
    budget.add(changed);
    changes.push(changed);
  };
  for await (const page of after.pages(steps)) {
    await pause();
    for (const entry of page) {
      const was = before.get(entry.place);
      before.delete(entry.place);
      const change = was === undefined ? "added" : changeOf(was, entry);
      if (change !== undefined) report(entry, change);
    }
  }
  for (const entry of before.values()) {
    await pause();
    report(entry, "deleted");
  }
  return changes;
}

function changeOf(before: TreeEntry, after: TreeEntry): FileChange["change"] | undefined {
  if (before.type !== after.type || contentOf(before) !== contentOf(after)) return "modified";
  return before.mode === after.mode ? undefined : "mode";
}

/** A text that is equal for equal content. */
function contentOf(entry: TreeEntry): string {
  if (entry.type === "symlink") return entry.target;
  return entry.type === "file"
    ? entry.chunks.map(({ hash, length }) => hash || `hole of ${length}`).join()
    : "";
}

function sizeOf(entry: TreeEntry): number {
  return entry.type === "file" ? entry.size : 0;
}
