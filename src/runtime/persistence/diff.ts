import type { FileChange } from "../../api/types.ts";
import type { ResultBudget } from "../filesystem/result-budget.ts";
import { pause, visitAll } from "../sandbox/pace.ts";
import type { Entry } from "./entries.ts";

/** A whole tree by path. */
export async function readTree(pages: AsyncIterable<Entry[]>): Promise<Map<string, Entry>> {
  const tree = new Map<string, Entry>();
  for await (const page of pages) for (const entry of page) tree.set(entry.path, entry);
  return tree;
}

/**
 * What became of a tree: changes by path, in the order of the new tree, deletions last.
 *
 * @param before is used up: what is left of it has been deleted
 */
export async function diffTrees(
  before: Map<string, Entry>,
  after: AsyncIterable<Entry[]>,
  budget: ResultBudget,
): Promise<FileChange[]> {
  const changes: FileChange[] = [];
  const tell = (change: FileChange) => {
    budget.add(change);
    changes.push(change);
  };
  for await (const page of after) {
    await pause();
    for (const entry of page) {
      const was = before.get(entry.path);
      before.delete(entry.path);
      const change = was === undefined ? "added" : changeOf(was, entry);
      if (change !== undefined) tell({ path: entry.path, change, type: entry.type, size: sizeOf(entry) });
    }
  }
  await visitAll(before.values(), (entry) =>
    tell({ path: entry.path, change: "deleted", type: entry.type, size: sizeOf(entry) }),
  );
  return changes;
}

function changeOf(before: Entry, after: Entry): FileChange["change"] | undefined {
  if (before.type !== after.type || contentOf(before) !== contentOf(after)) return "modified";
  return before.mode === after.mode ? undefined : "mode";
}

/** A text that differs where the content does. */
function contentOf(entry: Entry): string {
  if (entry.type === "symlink") return entry.target;
  return entry.type === "file" ? entry.chunks.map(({ hash }) => hash).join() : "";
}

function sizeOf(entry: Entry): number {
  return entry.type === "file" ? entry.size : 0;
}
