// @module-tag any-user
import { constants, lchownSync, lstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { RootedFileSystem } from "../../../../../src/runtime/sandbox/kernel/files/rooted-filesystem.ts";
import { PERL, VM_OWNER } from "../../../filesystem/file-systems.ts";
import { useScratch } from "./scratch.ts";

const scratch = useScratch();
const O_PATH = 0o10000000;

const ownerOf = (path: string) => {
  const { uid, gid } = lstatSync(join(scratch.root, path));
  return { uid, gid };
};

/** Owner of files that an ordinary server makes. */
const SELF = { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 };

test("the VM's user owns every new file, directory and link", async () => {
  const files = new Files(scratch.fs);
  await files.writeFile("/workspace/a/b/file", "x");
  await files.writeFile("/workspace/large", new Uint8Array(1024 * 1024));
  await scratch.fs.symlink("/etc/passwd", "/workspace/link");
  const made = ["workspace/a", "workspace/a/b", "workspace/a/b/file", "workspace/large", "workspace/link"];
  expect(made.map(ownerOf)).toEqual(made.map(() => VM_OWNER ?? SELF));
});

test.skipIf(VM_OWNER === null)("a replaced file keeps its owner", async () => {
  await scratch.fs.writeFile("/workspace/a", Buffer.from("old"));
  lchownSync(join(scratch.root, "workspace/a"), 4711, 4712);
  await scratch.fs.writeFile("/workspace/a", Buffer.from("new"));
  expect(ownerOf("workspace/a")).toEqual({ uid: 4711, gid: 4712 });
  expect(await scratch.fs.stat("/workspace/a")).toMatchObject({ uid: 65534, gid: 65534 });
});

test("stat shows the VM's user as 1000 and every other user as 65534", async () => {
  await scratch.fs.writeFile("/workspace/a", Buffer.from("x"));
  expect(await scratch.fs.stat("/workspace/a")).toMatchObject({ uid: 1000, gid: 1000 });
  const rootFd = openSync("/", O_PATH | constants.O_DIRECTORY);
  const stranger = new RootedFileSystem({ rootFd, owner: { uid: 4711, gid: 4712 }, perl: PERL });
  expect(await stranger.stat("/")).toMatchObject({ uid: 65534, gid: 65534 });
  await stranger.close();
});
