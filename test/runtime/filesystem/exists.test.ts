import { expect, test } from "vitest";
import { describeFiles, failure } from "./file-systems.ts";

describeFiles("exists", (tree) => {
  test("is true for files, directories and links to them", async () => {
    await tree.files.writeFile("/workspace/a", "");
    await tree.fs.symlink("a", "/workspace/link");
    for (const path of ["/", "/workspace", "/workspace/", "/workspace/a", "/workspace/link", "/home/user"])
      expect([path, await tree.files.exists(path)]).toEqual([path, true]);
  });

  test("is false for missing, dangling, looping and impossible paths", async () => {
    await tree.files.writeFile("/workspace/a", "");
    await tree.fs.symlink("none", "/workspace/dangling");
    await tree.fs.symlink("loop", "/workspace/loop");
    const paths = [
      "/none",
      "/none/x",
      "/workspace/a/",
      "/workspace/a/x",
      "/workspace/dangling",
      "/workspace/loop",
      `/${"x".repeat(256)}`,
      `/${"x/".repeat(3000)}x`,
    ];
    for (const path of paths) expect([path, await tree.files.exists(path)]).toEqual([path, false]);
  });

  test("refuses a path that is not absolute", async () => {
    expect(await failure(tree.files.exists("a"))).toEqual({
      code: "invalid_argument",
      message: "Path must be absolute: a",
    });
  });
});
