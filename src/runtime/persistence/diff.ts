import type { FileChange } from "../../api/methods/snapshot-types.ts";
import { pause } from "../../base/pace.ts";
import type { ResultBudget } from "../filesystem/result-budget.ts";
import { PathWriter, TreeOrder } from "../sandbox/tree-path.ts";
import type { TreeEntry } from "./entries.ts";
import type { StoredTree } from "./root.ts";

/**
 * Compares two trees page by page. Both are in the same order, so the memory does not grow with the trees. Changes come in the
 * order of the new tree, deletions last.
 *
 * @param show returns a change as the result has it; `undefined` leaves it out. @default every change as it is
 */
export async function diffTrees(
  before: StoredTree,
  after: StoredTree,
  budget: ResultBudget,
  show: (change: FileChange & { target?: string }) => FileChange | undefined = (change) => change,
): Promise<FileChange[]> {
  const changes: FileChange[] = [];
  const deletions: FileChange[] = [];
  const report = (to: FileChange[], paths: PathWriter, entry: TreeEntry, change: FileChange["change"]) => {
    const target = entry.type === "symlink" ? { target: entry.target } : {};
    const path = paths.pathOf(entry.place);
    const size = entry.type === "file" ? entry.size : 0;
    const changed = show({ path, change, type: entry.type, size, ...target });
    if (changed === undefined) return;
    budget.add(changed);
    to.push(changed);
  };
  const [oldPaths, newPaths] = [new PathWriter(), new PathWriter()];
  const order = new TreeOrder();
  const [olds, news] = [entriesOf(before), entriesOf(after)];
  try {
    let [old, entry] = [await next(olds), await next(news)];
    while (old !== undefined || entry !== undefined) {
      const turn = pause();
      if (turn !== null) await turn;
      const compared = compare(order, old, entry);
      if (old !== undefined && compared < 0) report(deletions, oldPaths, old, "deleted");
      if (entry !== undefined && compared > 0) report(changes, newPaths, entry, "added");
      if (old !== undefined && entry !== undefined && compared === 0) {
        const change = changeOf(old, entry);
        if (change !== undefined) report(changes, newPaths, entry, change);
      }
      if (compared <= 0) old = await next(olds);
      if (compared >= 0) entry = await next(news);
    }
  } finally {
    await Promise.all([olds.return(undefined), news.return(undefined)]);
  }
  for (const deletion of deletions) changes.push(deletion);
  return changes;
}

async function* entriesOf(tree: StoredTree): AsyncGenerator<TreeEntry, undefined, undefined> {
  for await (const page of tree.pages()) yield* page;
}

async function next(
  entries: AsyncGenerator<TreeEntry, undefined, undefined>,
): Promise<TreeEntry | undefined> {
  return (await entries.next()).value;
}

/** @returns a number below 0 if only the old tree has the old entry, above 0 if only the new tree has the new one */
function compare(order: TreeOrder, old: TreeEntry | undefined, entry: TreeEntry | undefined): number {
  if (old === undefined) return 1;
  return entry === undefined ? -1 : order.compare(old.place, entry.place);
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
