// @module-tag slow
import { expect, test } from "vitest";
import { depthFirst, excludes, scanTree } from "../../../src/runtime/filesystem/scan.ts";
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
    list: async ({ depth }: TreePlace) => (depth === 0 ? names.map(directory).reverse() : []),
    stat: async () => directory(""),
  } as unknown as TreeCursor;
  const account = new TreeBudget().open();
  const { nodes } = await scanTree(reader, { isExcluded: excludes(), account });
  const paths = names.map((name) => `/${name}`);
  expect(nodes.map(pathOf)).toEqual(paths);
  expect((await depthFirst(nodes)).map(pathOf)).toEqual(paths);
  account.release();
});
