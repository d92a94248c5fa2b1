// @module-tag any-user
// @module-tag attack
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { failure, posix, text } from "../../../filesystem/file-systems.ts";
import { snapshotOf, useScratch } from "./scratch.ts";

const scratch = useScratch();
const data = Buffer.from("written by the VM");

/** Targets of links that a process of the VM can make. */
const ESCAPES: [how: string, target: () => string][] = [
  ["absolute", () => scratch.outside],
  ["by ..", () => scratch.wayOut],
  ["by .. after a folder", () => `./folder/../${scratch.wayOut}`],
  ["by /..", () => `/../../..${scratch.outside}`],
  ["by the server's own root", () => `/proc/self/root${scratch.outside}`],
  ["by the server's own descriptors", () => "/proc/self/fd/3/../../../../.."],
];

describe.each(ESCAPES)("a link to the outside, %s,", (_how, target) => {
  let before: string[];
  beforeEach(() => {
    before = snapshotOf(scratch.outside);
    symlinkSync(target(), join(scratch.root, "workspace/escape"));
    symlinkSync(join(target(), "secret"), join(scratch.root, "workspace/secret"));
    symlinkSync(join(target(), "new"), join(scratch.root, "workspace/new"));
  });

  test("cannot be used to read files there", async () => {
    const { fs } = scratch;
    const attempts = [
      fs.readFile("/workspace/secret"),
      fs.readFile("/workspace/escape/secret"),
      fs.openReader("/workspace/escape/secret"),
      fs.stat("/workspace/secret"),
      fs.stat("/workspace/escape/secret"),
      fs.lstat("/workspace/escape/secret"),
      fs.readdir("/workspace/escape"),
      fs.readdir("/workspace/escape/folder"),
      fs.readdirWithSizes("/workspace/escape/folder"),
      fs.readlink("/workspace/escape/secret"),
    ];
    for (const attempt of attempts)
      expect((await failure(attempt)).code).toMatch(/^(ENOENT|ENOTDIR|EINVAL)$/);
  });

  test("cannot be used to change files there", async () => {
    const { fs } = scratch;
    await fs.writeFile("/workspace/source", data);
    const attempts = [
      fs.writeFile("/workspace/escape/secret", data),
      fs.writeFile("/workspace/secret", data),
      fs.writeFile("/workspace/new", data),
      fs.openWriter("/workspace/escape/new"),
      fs.unlink("/workspace/escape/secret"),
      fs.rmdir("/workspace/escape/folder"),
      fs.mkdir("/workspace/escape/made"),
      fs.symlink("x", "/workspace/escape/link"),
      fs.rename("/workspace/escape/secret", "/workspace/stolen"),
      fs.rename("/workspace/source", "/workspace/escape/folder/pushed"),
      fs.chmod("/workspace/secret", 0o777),
      fs.utimes("/workspace/secret", 0, 0),
    ];
    await Promise.allSettled(attempts);
    expect(snapshotOf(scratch.outside)).toEqual(before);
  });
});

test("an absolute link starts at the VM's root", async () => {
  const { fs, root } = scratch;
  symlinkSync("/etc/passwd", join(root, "workspace/link"));
  expect(await failure(fs.readFile("/workspace/link"))).toEqual(
    posix("ENOENT: no such file or directory, open '/workspace/link'"),
  );
  await fs.writeFile("/workspace/link", data);
  expect(readFileSync(join(root, "etc/passwd"), "utf8")).toBe("written by the VM");
  expect(text(await fs.readFile("/etc/passwd"))).toBe("written by the VM");
});

test(".. stops at the VM's root", async () => {
  const { fs, root } = scratch;
  writeFileSync(join(root, "etc/hostname"), "vm");
  symlinkSync("../../../../../../etc/hostname", join(root, "workspace/link"));
  symlinkSync("..", join(root, "up"));
  symlinkSync("/..", join(root, "top"));
  expect(text(await fs.readFile("/workspace/link"))).toBe("vm");
  expect(text(await fs.readFile("/up/etc/hostname"))).toBe("vm");
  expect(await fs.stat("/top")).toEqual(await fs.stat("/"));
  expect((await fs.readdir("/up")).length).toBe((await fs.readdir("/")).length);
});

test(".. after a link leads to the parent of the link's target", async () => {
  const { fs, root } = scratch;
  await fs.mkdir("/opt/deep");
  writeFileSync(join(root, "opt/file"), "in opt");
  symlinkSync("/opt/deep", join(root, "workspace/deep"));
  symlinkSync("deep/../file", join(root, "workspace/link"));
  expect(text(await fs.readFile("/workspace/link"))).toBe("in opt");
});

test("a path follows at most 40 links", async () => {
  const { fs, root } = scratch;
  symlinkSync(".", join(root, "workspace/here"));
  await fs.writeFile("/workspace/file", data);
  const path = (links: number) => `/workspace/${"here/".repeat(links)}file`;
  expect(text(await fs.readFile(path(40)))).toBe("written by the VM");
  expect(await failure(fs.readFile(path(41)))).toEqual(
    posix(`ELOOP: too many symbolic links encountered, open '${path(41)}'`),
  );
});

test("links that form a loop are ELOOP", async () => {
  const { fs, root } = scratch;
  symlinkSync("b", join(root, "workspace/a"));
  symlinkSync("a", join(root, "workspace/b"));
  symlinkSync("/workspace/self/x", join(root, "workspace/self"));
  for (const path of ["/workspace/a", "/workspace/a/x", "/workspace/self"])
    for (const attempt of [fs.readFile(path), fs.writeFile(path, data)])
      expect(await failure(attempt)).toEqual(
        posix(`ELOOP: too many symbolic links encountered, open '${path}'`),
      );
});
