// @module-tag slow
import { expect, test } from "vitest";
import { excludes, scanTree } from "../../../src/runtime/filesystem/scan.ts";
import type { TreeCursor, TreeNode, TreePlace } from "../../../src/runtime/sandbox/persistent-tree.ts";
import { TreeBudget } from "../../../src/runtime/sandbox/tree-budget.ts";
import { pathOf } from "../../../src/runtime/sandbox/tree-path.ts";

/** More entries than a function call can take as arguments. */
const MANY = 200_000;

function directory(name: string): TreeNode {
  return { name, type: "directory", mode: 0o755, size: 0, mtimeMs: 1, ctimeMs: 1, ino: 1, nlink: 2 };
}

test("scans and orders a directory with 200,000 directories", async () => {
  const names = Array.from({ length: MANY }, (_, index) => String(index).padStart(6, "0"));
  const reader = {
    visit: async ({ depth }: TreePlace, each: (node: TreeNode) => void) => {
      if (depth === 0) for (const name of [...names].reverse()) each(directory(name));
    },
    stat: async () => directory(""),
  } as unknown as TreeCursor;
  const account = new TreeBudget().open();
  const { nodes } = await scanTree(reader, { isExcluded: excludes(), account });
  const paths = names.map((name) => `/${name}`);
  const pathsOf = (rows: Iterable<number>) => Array.from(rows, (row) => pathOf(nodes.at(row)));
  expect(pathsOf(nodes.rows())).toEqual(paths);
  expect(pathsOf(nodes.depthFirst())).toEqual(paths);
  account.close();
});
