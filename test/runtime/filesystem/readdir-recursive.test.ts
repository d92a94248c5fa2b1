import { expect, test } from "vitest";
import { describeFiles, failure, posix, type TestTree } from "./file-systems.ts";

async function plant({ files, fs }: TestTree): Promise<void> {
  await files.writeFile("/workspace/b.txt", "12345");
  await files.writeFile("/workspace/a/deep/file", "123");
  await files.writeFile("/workspace/a/x", "");
  await files.writeFile("/workspace/node_modules/pkg/index.js", "1");
  await files.writeFile("/workspace/a/node_modules/index.js", "1");
  await fs.symlink("a", "/workspace/link");
  await fs.symlink("/nowhere", "/workspace/dangling");
}

/** Drops sizes of directories, which depend on the file system. */
async function list(tree: TestTree, path: string, options?: { maxDepth?: number; exclude?: string[] }) {
  const entries = await tree.files.readdirRecursive(path, options);
  return entries.map(({ path, type, size }) =>
    type === "directory" ? `${path}/` : `${path} ${type} ${size}`,
  );
}

describeFiles("readdirRecursive", (tree) => {
  test("lists breadth first and sorted, without the root, and follows no links", async () => {
    await plant(tree);
    expect(await list(tree, "/workspace")).toEqual([
      "/workspace/a/",
      "/workspace/b.txt file 5",
      "/workspace/dangling symlink 8",
      "/workspace/link symlink 1",
      "/workspace/node_modules/",
      "/workspace/a/deep/",
      "/workspace/a/node_modules/",
      "/workspace/a/x file 0",
      "/workspace/node_modules/pkg/",
      "/workspace/a/deep/file file 3",
      "/workspace/a/node_modules/index.js file 1",
      "/workspace/node_modules/pkg/index.js file 1",
    ]);
  });

  test("stops at maxDepth; 0 lists only direct children", async () => {
    await plant(tree);
    expect(await list(tree, "/workspace/a", { maxDepth: 0 })).toEqual([
      "/workspace/a/deep/",
      "/workspace/a/node_modules/",
      "/workspace/a/x file 0",
    ]);
    expect(await list(tree, "/workspace/a/", { maxDepth: 1 })).toEqual([
      "/workspace/a/deep/",
      "/workspace/a/node_modules/",
      "/workspace/a/x file 0",
      "/workspace/a/deep/file file 3",
      "/workspace/a/node_modules/index.js file 1",
    ]);
  });

  test("leaves out excluded names at any depth, with everything below", async () => {
    await plant(tree);
    expect(await list(tree, "/workspace", { exclude: ["node_modules", "b", "x", "link"] })).toEqual([
      "/workspace/a/",
      "/workspace/b.txt file 5",
      "/workspace/dangling symlink 8",
      "/workspace/a/deep/",
      "/workspace/a/deep/file file 3",
    ]);
  });

  test("follows only a link that is the path itself", async () => {
    await plant(tree);
    expect(await list(tree, "/workspace/link", { maxDepth: 0 })).toEqual([
      "/workspace/link/deep/",
      "/workspace/link/node_modules/",
      "/workspace/link/x file 0",
    ]);
  });

  test("lists the root", async () => {
    await plant(tree);
    expect(await list(tree, "/", { maxDepth: 0, exclude: ["workspace"] })).toEqual(
      ["bin", "dev", "etc", "home", "opt", "proc", "root", "sys", "tmp", "usr", "var"].map(
        (name) => `/${name}/`,
      ),
    );
    expect(await list(tree, "/home")).toEqual(["/home/agentos/", "/home/user symlink 13"]);
  });

  test("refuses a file and a missing directory", async () => {
    await plant(tree);
    expect(await failure(tree.files.readdirRecursive("/workspace/b.txt"))).toEqual(
      posix("ENOTDIR: not a directory, scandir '/workspace/b.txt'"),
    );
    expect(await failure(tree.files.readdirRecursive("/none"))).toEqual(
      posix("ENOENT: no such file or directory, scandir '/none'"),
    );
  });
});
