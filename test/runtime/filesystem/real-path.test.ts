import { expect, test } from "vitest";
import { realPath } from "../../../src/runtime/filesystem/real-path.ts";
import { countingNames, describeFiles, failure } from "./file-systems.ts";

const CALL = { syscall: "realpath", path: "/path" };

describeFiles("realPath", (tree) => {
  test("resolves links, and stops where the path leads nowhere", async () => {
    const { fs } = tree;
    await fs.mkdirBelow("/workspace", ["a", "b"]);
    await fs.writeFile("/workspace/a/file", Buffer.from("text"));
    await fs.symlink("../a/b", "/workspace/a/up");
    await fs.symlink("/workspace/a", "/workspace/whole");
    await fs.symlink("loop", "/workspace/loop");
    expect(await realPath(fs, "/workspace/whole/up/../file", CALL)).toBe("/workspace/a/file");
    expect(await realPath(fs, "/workspace/a/up", CALL)).toBe("/workspace/a/b");
    expect(await realPath(fs, "/home/user", CALL)).toBe("/home/agentos");
    expect(await realPath(fs, "/../..", CALL)).toBe("/");
    const codeFor = async (path: string) => (await failure(realPath(fs, path, CALL))).code;
    expect(await codeFor("/workspace/missing/x")).toBe("ENOENT");
    expect(await codeFor("/workspace/a/file/x")).toBe("ENOTDIR");
    expect(await codeFor("/workspace/loop")).toBe("ELOOP");
  });

  test("walks few names in a deep tree", { tags: ["attack"] }, async () => {
    const names = Array.from({ length: 999 }, () => "d");
    await tree.fs.mkdirBelow("/workspace", names);
    await tree.fs.symlink("d", "/workspace/link");
    const { fs, walked } = countingNames(tree.fs);
    const path = `/workspace/link/${names.slice(1).join("/")}`;
    expect(await realPath(fs, path, CALL)).toBe(`/workspace/${names.join("/")}`);
    // A walk from the root for each directory is 500,000 names.
    expect(walked()).toBeLessThan(2_000);
  });
});
