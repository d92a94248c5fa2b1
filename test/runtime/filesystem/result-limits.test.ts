import { expect, test } from "vitest";
import { Files } from "../../../src/runtime/filesystem/files.ts";
import { describeFiles, failure } from "./file-systems.ts";

const LIMIT = 10_000;

function tooLarge(action: string, bytes: number, instead: string) {
  return {
    code: "response_too_large",
    message: `The result of ${action} has ${bytes} bytes, above the ${LIMIT} that one message carries. ${instead}`,
  };
}

describeFiles("results above the size of one message", (tree) => {
  const limited = () => new Files(tree.fs, { maxResultBytes: LIMIT });

  test("refuses a file by its size", async () => {
    await tree.files.writeFile("/workspace/fits", new Uint8Array(LIMIT - 64));
    await tree.files.writeFile("/workspace/large", new Uint8Array(LIMIT));
    expect((await limited().readFile("/workspace/fits")).length).toBe(LIMIT - 64);
    expect(await failure(limited().readFile("/workspace/large"))).toEqual(
      tooLarge(
        "readFile",
        LIMIT + 64,
        "Read it with `readFile` of agent-vm's client, which takes files of any size.",
      ),
    );
    expect((await tree.files.readFile("/workspace/large")).length).toBe(LIMIT);
  });

  test("returns the files that fit together, and an error for each other file", async () => {
    await tree.files.writeFile("/workspace/a", new Uint8Array(LIMIT / 2));
    await tree.files.writeFile("/workspace/b", "small");
    const results = await limited().readFiles(["/workspace/a", "/workspace/a", "/workspace/b"]);
    expect(results.map(({ content }) => content?.length)).toEqual([LIMIT / 2, undefined, 5]);
    expect(results[1]).toEqual({
      path: "/workspace/a",
      content: null,
      error: expect.stringMatching(
        /^The result of readFiles has \d+ bytes, .* Read fewer files at a time, and each large file with `readFile`\.$/,
      ),
    });
  });

  test("counts names by their bytes", async () => {
    const names = Array.from({ length: 60 }, (_, index) => `${"n".repeat(100)}-${index}`);
    await tree.files.mkdir("/workspace/long");
    for (const name of names) await tree.files.writeFile(`/workspace/long/${name}`, "");
    expect(await limited().readdir("/workspace/long")).toHaveLength(60);
    expect((await failure(limited().readdirRecursive("/workspace/long"))).code).toBe("response_too_large");
  });

  test("refuses a listing that is too long", async () => {
    const entries = Array.from({ length: 500 }, (_, index) => ({
      path: `/workspace/a-name-of-twenty-chars-${index}`,
      content: "",
    }));
    await tree.files.writeFiles(entries);
    const names = await failure(limited().readdir("/workspace"));
    expect(names.code).toBe("response_too_large");
    expect(names.message).toMatch(
      /^The result of readdir has \d+ bytes, .* List it inside the VM with exec, and return only the names you need\.$/,
    );
    const recursive = await failure(limited().readdirRecursive("/"));
    expect(recursive.code).toBe("response_too_large");
    expect(recursive.message).toMatch(
      /^The result of readdirRecursive has \d+ bytes, .* list less with `maxDepth` and `exclude`\.$/,
    );
    expect(await limited().readdirRecursive("/", { exclude: ["workspace"], maxDepth: 0 })).toHaveLength(11);
    expect(await tree.files.readdir("/workspace")).toHaveLength(500);
  });
});
