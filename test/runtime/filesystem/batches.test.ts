import { expect, test } from "vitest";
import { describeFiles } from "./file-systems.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

describeFiles("writeFiles and readFiles", (tree) => {
  test("writes in order and reports each entry", async () => {
    await tree.files.writeFile("/workspace/file", "");
    expect(
      await tree.files.writeFiles([
        { path: "/workspace/a", content: "first" },
        { path: "/workspace/a", content: bytes("second") },
        { path: "/workspace/new/b", content: "b" },
        { path: "relative", content: "" },
        { path: "/workspace/file/x", content: "" },
        { path: "/proc/x", content: "" },
        { path: "/workspace/c", content: "c" },
      ]),
    ).toEqual([
      { path: "/workspace/a", success: true },
      { path: "/workspace/a", success: true },
      { path: "/workspace/new/b", success: true },
      { path: "relative", success: false, error: "Path must be absolute: relative" },
      {
        path: "/workspace/file/x",
        success: false,
        error: "ENOTDIR: not a directory, open '/workspace/file/x'",
      },
      { path: "/proc/x", success: false, error: "Path is read-only: /proc/x" },
      { path: "/workspace/c", success: true },
    ]);
    expect(await tree.files.readFile("/workspace/a")).toEqual(bytes("second"));
  });

  test("reads in order and reports each entry", async () => {
    await tree.files.writeFile("/workspace/a", "a");
    await tree.files.writeFile("/workspace/b", "");
    expect(
      await tree.files.readFiles(["/workspace/b", "/none", "/workspace/a", "/workspace", "a//b"]),
    ).toEqual([
      { path: "/workspace/b", content: bytes("") },
      { path: "/none", content: null, error: "ENOENT: no such file or directory, open '/none'" },
      { path: "/workspace/a", content: bytes("a") },
      {
        path: "/workspace",
        content: null,
        error: "EISDIR: illegal operation on a directory, read '/workspace'",
      },
      { path: "a//b", content: null, error: "Path must be absolute: a//b" },
    ]);
  });

  test("accepts empty lists", async () => {
    expect(await tree.files.writeFiles([])).toEqual([]);
    expect(await tree.files.readFiles([])).toEqual([]);
  });
});
