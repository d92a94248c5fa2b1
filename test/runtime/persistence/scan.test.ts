import { expect, test } from "vitest";
import { depthFirst, excludes, scanTree } from "../../../src/runtime/persistence/scan.ts";
import type { PersistentTree, TreeNode } from "../../../src/runtime/sandbox/persistent-tree.ts";

/** More than a call takes as arguments. */
const MANY = 200_000;

function directory(name: string): TreeNode {
  return { name, type: "directory", mode: 0o755, size: 0, mtimeMs: 1, ctimeMs: 1, ino: 1, nlink: 2 };
}

test("a directory of any number of directories is scanned and put in order", async () => {
  const names = Array.from({ length: MANY }, (_, index) => String(index).padStart(6, "0"));
  const tree = {
    list: async (path: string) => (path === "/" ? names.map(directory).reverse() : []),
    stat: async () => directory(""),
  } as unknown as PersistentTree;
  const { nodes } = await scanTree(tree, excludes());
  const paths = names.map((name) => `/${name}`);
  expect(nodes.map(({ path }) => path)).toEqual(paths);
  expect((await depthFirst(nodes)).map(({ path }) => path)).toEqual(paths);
});
