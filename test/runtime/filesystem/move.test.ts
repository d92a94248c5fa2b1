import { expect, test } from "vitest";
import { describeFiles, failure, posix, text } from "./file-systems.ts";

describeFiles("move", (tree) => {
  test("renames a file, and keeps its mode and time", async () => {
    await tree.files.writeFile("/workspace/a", "content");
    await tree.fs.chmod("/workspace/a", 0o600);
    await tree.fs.utimes("/workspace/a", 1000, 2000);
    await tree.files.move("/workspace/a", "/home/agentos/b");
    expect(await tree.files.exists("/workspace/a")).toBe(false);
    expect(text(await tree.files.readFile("/home/agentos/b"))).toBe("content");
    const { mode, mtimeMs } = await tree.files.stat("/home/agentos/b");
    expect({ mode, mtimeMs }).toEqual({ mode: 0o100600, mtimeMs: 2000 });
  });

  test("renames a directory with its contents", async () => {
    await tree.files.writeFile("/workspace/a/b/file", "content");
    await tree.files.move("/workspace/a", "/opt/c");
    expect((await tree.files.readdirRecursive("/opt")).map(({ path }) => path)).toEqual([
      "/opt/c",
      "/opt/c/b",
      "/opt/c/b/file",
    ]);
    expect(await tree.files.readdir("/workspace")).toEqual([]);
    expect([(await tree.files.stat("/opt")).nlink, (await tree.files.stat("/workspace")).nlink]).toEqual([
      3, 2,
    ]);
    await tree.files.writeFile("/opt/c/b/other", "");
    expect(await tree.files.readdir("/opt/c/b")).toEqual(["file", "other"]);
    await tree.files.move("/opt/c/b", "/workspace/b");
    expect(await tree.files.readdir("/workspace/b")).toEqual(["file", "other"]);
  });

  test("replaces a file, and replaces an empty directory with a directory", async () => {
    await tree.files.writeFile("/workspace/a", "a");
    await tree.files.writeFile("/workspace/b", "b");
    await tree.files.move("/workspace/a", "/workspace/b");
    expect(text(await tree.files.readFile("/workspace/b"))).toBe("a");
    await tree.files.writeFile("/workspace/full/file", "");
    await tree.files.mkdir("/workspace/empty");
    await tree.files.move("/workspace/full", "/workspace/empty");
    expect(await tree.files.readdir("/workspace")).toEqual(["b", "empty"]);
    expect(await tree.files.readdir("/workspace/empty")).toEqual(["file"]);
  });

  test("moves a link, not its target", async () => {
    await tree.files.writeFile("/workspace/target", "content");
    await tree.fs.symlink("target", "/workspace/link");
    await tree.files.writeFile("/workspace/over", "");
    await tree.fs.symlink("target", "/workspace/over-link");
    await tree.files.move("/workspace/link", "/workspace/moved");
    expect(await tree.fs.readlink("/workspace/moved")).toBe("target");
    await tree.files.move("/workspace/over", "/workspace/over-link");
    expect(text(await tree.files.readFile("/workspace/target"))).toBe("content");
    expect((await tree.files.lstat("/workspace/over-link")).isSymbolicLink).toBe(false);
  });

  test("does nothing if source and target are the same file", async () => {
    await tree.files.writeFile("/workspace/a", "content");
    await tree.files.move("/workspace/a", "/workspace/a");
    expect(text(await tree.files.readFile("/workspace/a"))).toBe("content");
  });

  test("refuses a missing source and a missing target directory", async () => {
    await tree.files.writeFile("/workspace/a", "");
    expect(await failure(tree.files.move("/workspace/none", "/workspace/b"))).toEqual(
      posix("ENOENT: no such file or directory, rename '/workspace/none' -> '/workspace/b'"),
    );
    expect(await failure(tree.files.move("/workspace/a", "/workspace/none/b"))).toEqual(
      posix("ENOENT: no such file or directory, rename '/workspace/a' -> '/workspace/none/b'"),
    );
  });

  test("refuses the root", async () => {
    expect(await failure(tree.files.move("/", "/workspace/b"))).toEqual(
      posix("EBUSY: resource busy or locked, rename '/' -> '/workspace/b'"),
    );
    expect(await failure(tree.files.move("/workspace", "/"))).toEqual(
      posix("EBUSY: resource busy or locked, rename '/workspace' -> '/'"),
    );
  });

  test("names the path that caused the error", async () => {
    expect(await failure(tree.files.move("/workspace/a", "b"))).toEqual({
      code: "invalid_argument",
      message: "Path must be absolute: b",
    });
  });
});
