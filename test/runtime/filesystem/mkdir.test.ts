import { expect, test } from "vitest";
import { Files } from "../../../src/runtime/filesystem/files.ts";
import { countingNames, describeFiles, failure, posix } from "./file-systems.ts";

describeFiles("mkdir", (tree) => {
  test("makes a directory of the VM's user, mode 0755", async () => {
    await tree.files.mkdir("/workspace/a");
    const { mode, uid, gid, nlink, isDirectory } = await tree.files.stat("/workspace/a");
    expect({ mode, uid, gid, nlink, isDirectory }).toEqual({
      mode: 0o40755,
      uid: 1000,
      gid: 1000,
      nlink: 2,
      isDirectory: true,
    });
    expect((await tree.files.stat("/workspace")).nlink).toBe(3);
  });

  test("leaves an existing directory unchanged", async () => {
    await tree.files.writeFile("/workspace/a/file", "");
    await tree.files.mkdir("/workspace/a");
    await tree.files.mkdir("/workspace/a/", { recursive: true });
    await tree.files.mkdir("/");
    await tree.files.mkdir("/home/user");
    expect(await tree.files.readdir("/workspace/a")).toEqual(["file"]);
  });

  test("accepts a trailing slash", async () => {
    await tree.files.mkdir("/workspace/a/");
    expect(await tree.files.readdir("/workspace")).toEqual(["a"]);
  });

  test("makes missing parents only with `recursive`", async () => {
    expect(await failure(tree.files.mkdir("/workspace/a/b/c"))).toEqual(
      posix("ENOENT: no such file or directory, mkdir '/workspace/a/b/c'"),
    );
    await tree.files.mkdir("/workspace/a/b/c", { recursive: true });
    expect((await tree.files.readdirRecursive("/workspace")).map(({ path }) => path)).toEqual([
      "/workspace/a",
      "/workspace/a/b",
      "/workspace/a/b/c",
    ]);
  });

  test("refuses an existing path that is not a directory", async () => {
    await tree.files.writeFile("/workspace/file", "");
    await tree.fs.symlink("none", "/workspace/dangling");
    expect(await failure(tree.files.mkdir("/workspace/file"))).toEqual(
      posix("EEXIST: file already exists, mkdir '/workspace/file'"),
    );
    expect(await failure(tree.files.mkdir("/workspace/dangling", { recursive: true }))).toEqual(
      posix("EEXIST: file already exists, mkdir '/workspace/dangling'"),
    );
    expect(await failure(tree.files.mkdir("/workspace/file/a", { recursive: true }))).toEqual(
      posix("ENOTDIR: not a directory, mkdir '/workspace/file/a'"),
    );
  });

  test("walks few names to make 1,000 missing directories", { tags: ["attack"] }, async () => {
    const deep = (top: string) => `/workspace/${top}${"/d".repeat(999)}`;
    const { fs, walked } = countingNames(tree.fs);
    const files = new Files(fs);
    await files.mkdir(deep("made"), { recursive: true });
    await files.writeFile(`${deep("written")}/file`, "content");
    // 1,000 walks from the root are 500,000 names.
    expect(walked()).toBeLessThan(30_000);
    expect((await tree.files.stat(deep("made"))).mode).toBe(0o40755);
    expect(Buffer.from(await tree.files.readFile(`${deep("written")}/file`)).toString()).toBe("content");
  });
});
