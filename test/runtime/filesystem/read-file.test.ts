import { expect, test } from "vitest";
import { describeFiles, failure, posix, text } from "./file-systems.ts";

describeFiles("readFile", (tree) => {
  test("returns a new copy of the bytes", async () => {
    await tree.files.writeFile("/workspace/a", "content");
    const first = await tree.files.readFile("/workspace/a");
    expect(Object.getPrototypeOf(first)).toBe(Uint8Array.prototype);
    expect(first.buffer.byteLength).toBe(7);
    first.fill(0);
    expect(text(await tree.files.readFile("/workspace/a"))).toBe("content");
  });

  test("follows links", async () => {
    await tree.files.writeFile("/home/agentos/a", "content");
    await tree.fs.symlink("/home/user/a", "/workspace/link");
    expect(text(await tree.files.readFile("/workspace/link"))).toBe("content");
  });

  test("refuses a directory", async () => {
    expect(await failure(tree.files.readFile("/workspace"))).toEqual(
      posix("EISDIR: illegal operation on a directory, read '/workspace'"),
    );
    expect(await failure(tree.files.readFile("/"))).toEqual(
      posix("EISDIR: illegal operation on a directory, read '/'"),
    );
  });

  test("names the missing path", async () => {
    expect(await failure(tree.files.readFile("/workspace/none"))).toEqual(
      posix("ENOENT: no such file or directory, open '/workspace/none'"),
    );
  });

  test("an error for a file above the maximum has its size", async () => {
    await tree.files.writeFile("/workspace/a", "12345");
    expect(text(await tree.fs.readFile("/workspace/a", 5))).toBe("12345");
    await expect(tree.fs.readFile("/workspace/a", 4)).rejects.toMatchObject({
      code: "EFBIG",
      message: "EFBIG: file too large, read '/workspace/a'",
      metadata: { bytes: 5, maximum: 4 },
    });
  });

  test("reads pieces of an open file", async () => {
    await tree.files.writeFile("/workspace/a", "0123456789");
    const reader = await tree.fs.openReader("/workspace/a");
    expect(text(await reader.read(0, 4))).toBe("0123");
    expect(text(await reader.read(8, 4))).toBe("89");
    expect(text(await reader.read(10, 4))).toBe("");
    expect(text(await reader.read(11, 4))).toBe("");
    await reader.close();
    await reader.close();
    expect(await failure(reader.read(0, 4))).toEqual(
      posix("EBADF: bad file descriptor, read '/workspace/a'"),
    );
  });
});
