import { expect, test } from "vitest";
import { describeFiles, failure, posix, text } from "./file-systems.ts";

const MIB = 1024 * 1024;

describeFiles("writeFile", (tree) => {
  test("writes a string as UTF-8", async () => {
    await tree.files.writeFile("/workspace/a.txt", "grüße \u{1f600}\n");
    expect(await tree.files.readFile("/workspace/a.txt")).toEqual(
      new Uint8Array(Buffer.from("grüße \u{1f600}\n", "utf8")),
    );
  });

  test("writes bytes unchanged", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    await tree.files.writeFile("/workspace/a.bin", bytes);
    expect(await tree.files.readFile("/workspace/a.bin")).toEqual(bytes);
  });

  test("writes an empty file", async () => {
    await tree.files.writeFile("/workspace/empty", "");
    expect(await tree.files.readFile("/workspace/empty")).toEqual(new Uint8Array());
  });

  test("writes only the viewed part of a buffer", async () => {
    await tree.files.writeFile("/workspace/view", new Uint8Array(Buffer.from("abcdef")).subarray(2, 4));
    expect(text(await tree.files.readFile("/workspace/view"))).toBe("cd");
  });

  test.each([256 * 1024, 256 * 1024 + 1, 5 * MIB + 3])("writes and reads back %i bytes", async (size) => {
    const bytes = Uint8Array.from({ length: size }, (_, index) => index % 251);
    await tree.files.writeFile("/workspace/large", bytes);
    const back = await tree.files.readFile("/workspace/large");
    expect(Buffer.compare(back, bytes)).toBe(0);
    expect((await tree.files.stat("/workspace/large")).size).toBe(size);
  });

  test("shortens a longer file", async () => {
    await tree.files.writeFile("/workspace/a", "a long text");
    await tree.files.writeFile("/workspace/a", "short");
    expect(text(await tree.files.readFile("/workspace/a"))).toBe("short");
  });

  test("creates missing parents", async () => {
    await tree.files.writeFile("/workspace/a/b/c/file", "deep");
    expect(text(await tree.files.readFile("/workspace/a/b/c/file"))).toBe("deep");
    const parent = await tree.files.stat("/workspace/a/b");
    expect([parent.mode, parent.uid, parent.gid]).toEqual([0o40755, 1000, 1000]);
  });

  test("creates missing parents below a link to a directory", async () => {
    await tree.files.writeFile("/home/user/a/file", "by a link");
    expect(text(await tree.files.readFile("/home/agentos/a/file"))).toBe("by a link");
  });

  test("refuses a file as a parent", async () => {
    await tree.files.writeFile("/workspace/file", "");
    expect(await failure(tree.files.writeFile("/workspace/file/x", ""))).toEqual(
      posix("ENOTDIR: not a directory, open '/workspace/file/x'"),
    );
    expect(await failure(tree.files.writeFile("/workspace/file/x/y", ""))).toEqual(
      posix("ENOTDIR: not a directory, open '/workspace/file/x/y'"),
    );
  });

  test("refuses a dangling link as a parent", async () => {
    await tree.fs.symlink("nowhere", "/workspace/dangling");
    expect(await failure(tree.files.writeFile("/workspace/dangling/x", ""))).toEqual(
      posix("EEXIST: file already exists, mkdir '/workspace/dangling'"),
    );
  });

  test("refuses a directory, and a name with a slash", async () => {
    expect(await failure(tree.files.writeFile("/workspace", ""))).toEqual(
      posix("EISDIR: illegal operation on a directory, open '/workspace'"),
    );
    expect(await failure(tree.files.writeFile("/", ""))).toEqual(
      posix("EISDIR: illegal operation on a directory, open '/'"),
    );
    expect(await failure(tree.files.writeFile("/workspace/new/", ""))).toEqual(
      posix("EISDIR: illegal operation on a directory, open '/workspace/new/'"),
    );
    expect(await tree.files.readdir("/workspace")).toEqual([]);
  });

  test("refuses a path that is not absolute and normalized", async () => {
    expect(await failure(tree.files.writeFile("a", ""))).toEqual({
      code: "invalid_argument",
      message: "Path must be absolute: a",
    });
    expect(await failure(tree.files.writeFile("/workspace/../etc/x", ""))).toEqual({
      code: "invalid_argument",
      message: "Path must be normalized: /workspace/../etc/x",
    });
  });
});
