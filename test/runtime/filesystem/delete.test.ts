import { expect, test } from "vitest";
import { describeFiles, failure, posix, text } from "./file-systems.ts";

describeFiles("delete", (tree) => {
  test("removes a file, and an empty directory", async () => {
    await tree.files.writeFile("/workspace/a", "");
    await tree.files.mkdir("/workspace/empty");
    await tree.files.delete("/workspace/a");
    await tree.files.delete("/workspace/empty");
    expect(await tree.files.readdir("/workspace")).toEqual([]);
    expect((await tree.files.stat("/workspace")).nlink).toBe(2);
  });

  test("removes a directory that is not empty only with `recursive`", async () => {
    await tree.files.writeFile("/workspace/a/b/c/file", "");
    await tree.files.writeFile("/workspace/a/file", "");
    expect(await failure(tree.files.delete("/workspace/a"))).toEqual(
      posix("ENOTEMPTY: directory not empty, rmdir '/workspace/a'"),
    );
    await tree.files.delete("/workspace/a/", { recursive: true });
    expect(await tree.files.readdir("/workspace")).toEqual([]);
  });

  test("removes a link, never its target", async () => {
    await tree.files.writeFile("/workspace/folder/file", "content");
    await tree.fs.symlink("folder", "/workspace/folder-link");
    await tree.fs.symlink("folder/file", "/workspace/file-link");
    await tree.fs.symlink("none", "/workspace/dangling");
    await tree.files.delete("/workspace/folder-link", { recursive: true });
    await tree.files.delete("/workspace/file-link");
    await tree.files.delete("/workspace/dangling");
    expect(await tree.files.readdir("/workspace")).toEqual(["folder"]);
    expect(text(await tree.files.readFile("/workspace/folder/file"))).toBe("content");
  });

  test("removes the links in a directory, not their targets", async () => {
    await tree.files.writeFile("/opt/kept/file", "content");
    await tree.files.mkdir("/workspace/a");
    await tree.fs.symlink("/opt/kept", "/workspace/a/absolute");
    await tree.fs.symlink("../../opt/kept", "/workspace/a/relative");
    await tree.fs.symlink("..", "/workspace/a/parent");
    await tree.files.delete("/workspace/a", { recursive: true });
    expect(await tree.files.readdir("/workspace")).toEqual([]);
    expect(text(await tree.files.readFile("/opt/kept/file"))).toBe("content");
  });

  test("does not follow a link with a trailing slash", async () => {
    await tree.files.writeFile("/workspace/folder/file", "content");
    await tree.fs.symlink("folder", "/workspace/link");
    expect(await failure(tree.files.delete("/workspace/link/", { recursive: true }))).toEqual(
      posix("ENOTDIR: not a directory, unlink '/workspace/link/'"),
    );
    expect(await failure(tree.files.delete("/workspace/folder/file/"))).toEqual(
      posix("ENOTDIR: not a directory, unlink '/workspace/folder/file/'"),
    );
    expect(text(await tree.files.readFile("/workspace/link/file"))).toBe("content");
  });

  test("names the missing path", async () => {
    expect(await failure(tree.files.delete("/workspace/none"))).toEqual(
      posix("ENOENT: no such file or directory, unlink '/workspace/none'"),
    );
    expect(await failure(tree.files.delete("/workspace/none", { recursive: true }))).toEqual(
      posix("ENOENT: no such file or directory, unlink '/workspace/none'"),
    );
  });

  test("refuses the root, and leaves its entries", async () => {
    const before = await tree.files.readdir("/");
    expect(await failure(tree.files.delete("/", { recursive: true }))).toEqual(
      posix("EBUSY: resource busy or locked, rmdir '/'"),
    );
    expect(await tree.files.readdir("/")).toEqual(before);
  });

  test("removes a deep tree of many files", { tags: ["slow"] }, async () => {
    const deep = `/workspace/tree${"/d".repeat(100)}`;
    await tree.files.mkdir(deep, { recursive: true });
    const entries = Array.from({ length: 3000 }, (_, index) => ({ path: `${deep}/${index}`, content: "" }));
    await tree.files.writeFiles(entries);
    await tree.files.delete("/workspace/tree", { recursive: true });
    expect(await tree.files.readdir("/workspace")).toEqual([]);
  });

  test("removes a tree, even if its path leads through a link in the tree itself", async () => {
    await tree.files.mkdir("/workspace/a/b", { recursive: true });
    for (const name of ["0", "1", "z"]) await tree.files.writeFile(`/workspace/a/b/${name}/file`, "");
    await tree.fs.symlink("..", "/workspace/a/b/link");
    await tree.files.delete("/workspace/a/b/link/b", { recursive: true });
    expect(await tree.files.readdir("/workspace/a")).toEqual([]);
  });

  test("leaves files that are moved out of the tree meanwhile", async () => {
    const names = Array.from({ length: 5000 }, (_, index) => `/workspace/a/file-${index}`);
    await tree.files.writeFiles(names.map((path) => ({ path, content: "" })));
    await tree.files.writeFile("/workspace/a/zz/kept", "content");
    const deleted = tree.files.delete("/workspace/a", { recursive: true });
    await tree.files.move("/workspace/a/zz", "/workspace/zz");
    await deleted;
    expect(await tree.files.readdir("/workspace")).toEqual(["zz"]);
    expect(text(await tree.files.readFile("/workspace/zz/kept"))).toBe("content");
  });

  test("deleteFile does the same as delete", async () => {
    await tree.files.writeFile("/workspace/a/b", "");
    await tree.files.deleteFile("/workspace/a", { recursive: true });
    expect(await tree.files.exists("/workspace/a")).toBe(false);
  });
});
