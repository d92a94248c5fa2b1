// @module-tag attack
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Headers, pack } from "tar-stream";
import { beforeEach, expect, test } from "vitest";
import { packLocal } from "../../../src/cli/local/pack.ts";
import { unpack } from "../../../src/cli/local/unpack.ts";
import { testFolder } from "../../support/temporary-folder.ts";

let folder: string;
let target: string;
beforeEach(() => {
  folder = testFolder();
  target = join(folder, "target");
  mkdirSync(target);
  writeFileSync(join(folder, "outside"), "untouched");
});

type Entry = [header: Headers & { pax?: Record<string, string> }, content?: string];

/** Unpacks an archive of a VM. */
async function unpacked(...entries: Entry[]) {
  const archive = pack();
  for (const [header, content] of entries) archive.entry(header, content ?? "");
  archive.finalize();
  return await unpack(archive as unknown as AsyncIterable<Uint8Array>, target);
}

const outside = () => readFileSync(join(folder, "outside"), "utf8");

test.each(["../outside", "a/../../outside", "./../outside"])(
  "a name cannot climb out of the target: %s",
  async (name) => {
    await expect(unpacked([{ name }, "attack"])).rejects.toMatchObject({ code: "invalid_archive" });
    expect(outside()).toBe("untouched");
  },
);

test("an absolute name lands below the target", async () => {
  await unpacked([{ name: "/etc/agent-vm-test" }, "text"]);
  expect(readFileSync(join(target, "etc/agent-vm-test"), "utf8")).toBe("text");
});

test("nothing is written through a link, whether of the archive or of an earlier copy", async () => {
  const entries: Entry[] = [
    [{ name: "link", type: "symlink", linkname: folder }],
    [{ name: "link/outside" }, "attack"],
  ];
  // Links are made last, so the second entry makes a folder in the place of the link.
  await expect(unpacked(...entries)).rejects.toMatchObject({ code: "invalid_archive" });
  expect(outside()).toBe("untouched");
  symlinkSync(folder, join(target, "earlier"));
  await expect(unpacked([{ name: "earlier/outside" }, "attack"])).rejects.toMatchObject({
    code: "invalid_archive",
  });
  symlinkSync(join(folder, "outside"), join(target, "file"));
  await unpacked([{ name: "file" }, "own"]);
  expect([outside(), readFileSync(join(target, "file"), "utf8")]).toEqual(["untouched", "own"]);
});

test("a hard link cannot reach a file outside, nor a file behind a link", async () => {
  symlinkSync(join(folder, "outside"), join(target, "file"));
  for (const linkname of ["../outside", "file", "missing"])
    await expect(unpacked([{ name: "hard", type: "link", linkname }])).rejects.toMatchObject({
      code: "invalid_archive",
    });
  expect(existsSync(join(target, "hard"))).toBe(false);
});

test("setuid bits and devices do not arrive, and devices are not counted", async () => {
  const { files, skipped } = await unpacked(
    [{ name: "tool", mode: 0o6755 }, "x"],
    [{ name: "null", type: "character-device", devmajor: 1, devminor: 3 }],
  );
  expect(lstatSync(join(target, "tool")).mode & 0o7777).toBe(0o755);
  expect([files, skipped, existsSync(join(target, "null"))]).toEqual([
    1,
    [{ path: "null", reason: "kind" }],
    false,
  ]);
});

test("entries whose names or targets are not UTF-8 are left out, and no file of the copy is replaced", async () => {
  writeFileSync(join(target, "a"), "of an earlier copy");
  const done = await unpacked(
    [{ name: "a" }, "first"],
    [{ name: "a" }, "second"],
    [{ name: "a", type: "link", linkname: "a" }],
    [{ name: "a", type: "symlink", linkname: "b" }],
    [{ name: "caf\ufffd" }, "one"],
    [{ name: "folder\ufffd/b" }, "two"],
    [{ name: "link", type: "symlink", linkname: "caf\ufffd" }],
  );
  expect([readdirSync(target), readFileSync(join(target, "a"), "utf8")]).toEqual([["a"], "first"]);
  expect(done).toMatchObject({ files: 1, bytes: 5 });
  expect(done.skipped.map(({ path, reason }) => `${path} ${reason}`)).toEqual([
    "a taken",
    "a taken",
    "caf\ufffd name",
    "folder\ufffd/b name",
    "link name",
    "a taken",
  ]);
});

test("names and targets of this machine that are not UTF-8 are left out", async () => {
  const source = join(folder, "bytes");
  mkdirSync(source);
  writeFileSync(join(source, "good"), "text");
  const bad = Buffer.concat([Buffer.from(`${source}/caf`), Buffer.from([0xe9])]);
  writeFileSync(bad, "x");
  symlinkSync(Buffer.from([0xe9]), join(source, "link"));
  const { archive, skipped } = await packLocal(source);
  expect(skipped).toEqual([
    { path: join(source, "caf\ufffd"), reason: "name" },
    { path: join(source, "link"), reason: "name" },
  ]);
  await unpack(archive, target);
  expect(readdirSync(target)).toEqual(["good"]);
});

test("folders that were there keep their modes, and the umask holds for new ones", async () => {
  mkdirSync(join(target, "sub"));
  for (const path of [target, join(target, "sub")]) chmodSync(path, 0o750);
  await unpacked(
    [{ name: ".", type: "directory", mode: 0o777 }],
    [{ name: "sub", type: "directory", mode: 0o777 }],
    [{ name: "new", type: "directory", mode: 0o777 }],
    [{ name: "closed", type: "directory", mode: 0o050 }],
  );
  const modes = [".", "sub", "new", "closed"].map((name) => lstatSync(join(target, name)).mode & 0o777);
  const umask = process.umask();
  expect(modes).toEqual([0o750, 0o750, 0o777 & ~umask, 0o700 | (0o050 & ~umask)]);
});

test.each([
  ["without an end", "9999999999999999\n"],
  ["that is not a number", "x\n"],
  ["that has less than its data", `1\n0\n1\n${"\0".repeat(506)}more`],
])("a map of a sparse file %s is refused", async (_what, content) => {
  const pax = {
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.name": "f",
    "GNU.sparse.realsize": "9",
  };
  await expect(unpacked([{ name: "f", pax }, content])).rejects.toMatchObject({ code: "invalid_archive" });
});

test("an archive of this machine unpacks to the same files, folders, links, modes and times", async () => {
  const source = join(folder, "source");
  mkdirSync(join(source, "sub"), { recursive: true });
  writeFileSync(join(source, "sub/tool"), "#!/bin/sh\n", { mode: 0o755 });
  symlinkSync("/etc/shadow", join(source, "link"));
  const { archive, bytes, skipped } = await packLocal(source);
  expect({ bytes, skipped }).toEqual({ bytes: 10, skipped: [] });
  await unpack(archive, target);
  expect(readFileSync(join(target, "sub/tool"), "utf8")).toBe("#!/bin/sh\n");
  expect(lstatSync(join(target, "sub/tool")).mode & 0o777).toBe(0o755);
  expect(readlinkSync(join(target, "link"))).toBe("/etc/shadow");
});
