import { expect, test } from "vitest";
import { describeFiles, failure, posix } from "./file-systems.ts";

describeFiles("readdir", (tree) => {
  test("sorts names by code unit", async () => {
    const names = [
      "b",
      "a",
      "Z",
      "a.b",
      "a-b",
      "10",
      "9",
      "ä",
      "\u{1f600}",
      "\uffee",
      ".hidden",
      " ",
      "a\nb",
    ];
    for (const name of names) await tree.files.writeFile(`/workspace/${name}`, "");
    expect(await tree.files.readdir("/workspace")).toEqual([...names].sort());
    expect(await tree.files.readdir("/workspace/")).toEqual([...names].sort());
  });

  test("lists the root and an empty directory", async () => {
    expect(await tree.files.readdir("/")).toEqual([
      "bin",
      "dev",
      "etc",
      "home",
      "opt",
      "proc",
      "root",
      "sys",
      "tmp",
      "usr",
      "var",
      "workspace",
    ]);
    expect(await tree.files.readdir("/workspace")).toEqual([]);
  });

  test("follows a link to a directory", async () => {
    await tree.files.writeFile("/home/agentos/a", "");
    expect(await tree.files.readdir("/home/user")).toEqual(["a"]);
  });

  test("lists 10,000 files, each once", { tags: ["slow"] }, async () => {
    const names = Array.from({ length: 10_000 }, (_, index) => `file-${index}`);
    await tree.files.writeFiles(names.map((name) => ({ path: `/workspace/${name}`, content: "" })));
    expect(await tree.files.readdir("/workspace")).toEqual([...names].sort());
  });

  test("refuses a file and a missing directory", async () => {
    await tree.files.writeFile("/workspace/file", "");
    expect(await failure(tree.files.readdir("/workspace/file"))).toEqual(
      posix("ENOTDIR: not a directory, scandir '/workspace/file'"),
    );
    expect(await failure(tree.files.readdir("/none"))).toEqual(
      posix("ENOENT: no such file or directory, scandir '/none'"),
    );
  });
});
