import { expect, test } from "vitest";
import { Files } from "../../../src/runtime/filesystem/files.ts";
import type { FileSystem } from "../../../src/runtime/sandbox/files.ts";
import { posixError } from "../../../src/runtime/sandbox/posix.ts";
import { describeFiles, failure, posix, type TestTree, text } from "./file-systems.ts";

/** Wraps a file system so that /opt acts like another mount: rename(2) into or out of it is EXDEV. */
function withMount(fs: FileSystem): FileSystem {
  const isMounted = (path: string) => path.startsWith("/opt/");
  return new Proxy(fs, {
    get(target, name: keyof FileSystem) {
      if (name !== "rename") return (target[name] as () => unknown).bind(target);
      return async (from: string, to: string) => {
        if (isMounted(from) !== isMounted(to))
          throw posixError("EXDEV", { syscall: "rename", path: from, destination: to });
        await target.rename(from, to);
      };
    },
  });
}

async function makeFiles({ files, fs }: TestTree): Promise<void> {
  await files.writeFile("/workspace/a/file", "content");
  await files.writeFile("/workspace/a/deep/large", new Uint8Array(9 * 1024 * 1024).fill(7));
  await fs.symlink("../nowhere", "/workspace/a/link");
  await fs.chmod("/workspace/a/file", 0o751);
  await fs.utimes("/workspace/a/file", 1000, 2000);
  await fs.chmod("/workspace/a/deep", 0o700);
  await fs.utimes("/workspace/a/deep", 3000, 4000);
}

async function describeTree({ files, fs }: TestTree, path: string): Promise<unknown[]> {
  const entries = await files.readdirRecursive(path);
  return Promise.all(
    entries.map(async ({ path, type, size }) => {
      const { mode, mtimeMs } = await files.lstat(path);
      if (type === "symlink") return { path, target: await fs.readlink(path) };
      return { path, mode, mtimeMs, ...(type === "file" && { size }) };
    }),
  );
}

describeFiles("move across mounts", (tree) => {
  test("copies directories, files and links with modes and times, then deletes", async () => {
    await makeFiles(tree);
    const large = (await tree.files.stat("/workspace/a/deep/large")).mtimeMs;
    await new Files(withMount(tree.fs)).move("/workspace/a", "/opt/b");
    expect(await describeTree(tree, "/opt/b")).toEqual([
      { path: "/opt/b/deep", mode: 0o40700, mtimeMs: 4000 },
      { path: "/opt/b/file", mode: 0o100751, mtimeMs: 2000, size: 7 },
      { path: "/opt/b/link", target: "../nowhere" },
      { path: "/opt/b/deep/large", mode: 0o100644, mtimeMs: large, size: 9 * 1024 * 1024 },
    ]);
    const copied = await tree.files.readFile("/opt/b/deep/large");
    expect(copied.every((byte) => byte === 7)).toBe(true);
    expect(await tree.files.readdir("/workspace")).toEqual([]);
    expect(await tree.files.readdir("/opt")).toEqual(["b"]);
  });

  test("replaces a file and an empty directory", async () => {
    await makeFiles(tree);
    await tree.files.writeFile("/opt/file", "old");
    await tree.files.mkdir("/opt/empty");
    const files = new Files(withMount(tree.fs));
    await files.move("/workspace/a/file", "/opt/file");
    expect(text(await tree.files.readFile("/opt/file"))).toBe("content");
    await files.move("/workspace/a", "/opt/empty/");
    expect(await tree.files.readdir("/opt/empty")).toEqual(["deep", "link"]);
  });

  test.each([
    ["/workspace/a", "/opt/file", "ENOTDIR: not a directory"],
    ["/workspace/a", "/opt/full", "ENOTEMPTY: directory not empty"],
    ["/workspace/a/file", "/opt/full", "EISDIR: illegal operation on a directory"],
    ["/workspace/a", "/opt/none/b", "ENOENT: no such file or directory"],
  ])("leaves source and target unchanged if %s cannot move to %s", async (from, to, message) => {
    await makeFiles(tree);
    await tree.files.writeFile("/opt/file", "old");
    await tree.files.writeFile("/opt/full/file", "old");
    const before = await describeTree(tree, "/");
    const { code } = await failure(new Files(withMount(tree.fs)).move(from, to));
    expect(code).toBe(posix(message).code);
    const directories = ["/opt", "/workspace", "/workspace/a"];
    const withoutTimes = (entries: unknown[]) =>
      entries.map((entry) => {
        const { path } = entry as { path: string };
        return directories.includes(path) ? { path } : entry;
      });
    expect(withoutTimes(await describeTree(tree, "/"))).toEqual(withoutTimes(before));
    await tree.files.delete("/opt/full", { recursive: true });
    await tree.files.delete("/opt/file");
    await tree.fs.rmdir("/opt");
  });

  test("does not copy a directory into itself", async () => {
    await makeFiles(tree);
    const fs: FileSystem = new Proxy(tree.fs, {
      get(target, name: keyof FileSystem) {
        if (name !== "rename") return (target[name] as () => unknown).bind(target);
        return async (path: string, destination: string) => {
          throw posixError("EXDEV", { syscall: "rename", path, destination });
        };
      },
    });
    expect(await failure(new Files(fs).move("/workspace/a", "/workspace/a/deep/b"))).toEqual(
      posix("EINVAL: invalid argument, rename '/workspace/a' -> '/workspace/a/deep/b'"),
    );
    expect(await tree.files.readdir("/workspace/a/deep")).toEqual(["large"]);
  });
});
