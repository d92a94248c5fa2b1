import { expect, test } from "vitest";
import { describeFiles, failure, posix } from "./file-systems.ts";

describeFiles("stat and lstat", (tree) => {
  test("describes a file in full", async () => {
    const before = Date.now();
    await tree.files.writeFile("/workspace/a", "x".repeat(5000));
    const stat = await tree.files.stat("/workspace/a");
    const times = [stat.atimeMs, stat.mtimeMs, stat.ctimeMs, stat.birthtimeMs];
    for (const time of times) {
      expect(Number.isInteger(time)).toBe(true);
      // The kernel's clock for files ticks every 4 ms.
      expect(Math.abs(time - before)).toBeLessThan(5000);
    }
    const { dev, ino, atimeMs, mtimeMs, ctimeMs, birthtimeMs, ...rest } = stat;
    expect(rest).toEqual({
      mode: 0o100644,
      size: 5000,
      blocks: 16,
      rdev: 0,
      isDirectory: false,
      isSymbolicLink: false,
      nlink: 1,
      uid: 1000,
      gid: 1000,
    });
    expect([dev, ino].every(Number.isInteger)).toBe(true);
  });

  test("stat follows links, and lstat does not", async () => {
    await tree.files.writeFile("/workspace/a", "content");
    await tree.fs.symlink("a", "/workspace/link");
    const target = await tree.files.stat("/workspace/a");
    expect(await tree.files.stat("/workspace/link")).toEqual(target);
    const link = await tree.files.lstat("/workspace/link");
    expect([link.mode, link.size, link.isSymbolicLink, link.isDirectory, link.uid, link.gid]).toEqual([
      0o120777,
      1,
      true,
      false,
      1000,
      1000,
    ]);
    expect(await tree.files.lstat("/workspace/a")).toEqual(target);
  });

  test("describes a dangling link itself", async () => {
    await tree.fs.symlink("/nowhere", "/workspace/dangling");
    const stat = await tree.files.stat("/workspace/dangling");
    expect(stat).toEqual(await tree.files.lstat("/workspace/dangling"));
    expect([stat.isSymbolicLink, stat.isDirectory, stat.size]).toEqual([true, false, 8]);
  });

  test("describes the root, a directory and a sticky one", async () => {
    expect((await tree.files.stat("/")).mode).toBe(0o40755);
    expect((await tree.files.stat("/tmp")).mode).toBe(0o41777);
    expect((await tree.files.stat("/home/user/")).isDirectory).toBe(true);
    expect((await tree.files.lstat("/home/user")).isSymbolicLink).toBe(true);
    expect((await tree.files.lstat("/home/user/")).isDirectory).toBe(true);
  });

  test("names the path of a missing file and of a link loop", async () => {
    await tree.fs.symlink("loop", "/workspace/loop");
    expect(await failure(tree.files.stat("/none/x"))).toEqual(
      posix("ENOENT: no such file or directory, stat '/none/x'"),
    );
    expect(await failure(tree.files.lstat("/none"))).toEqual(
      posix("ENOENT: no such file or directory, lstat '/none'"),
    );
    expect(await failure(tree.files.stat("/workspace/loop"))).toEqual(
      posix("ELOOP: too many symbolic links encountered, stat '/workspace/loop'"),
    );
  });
});
