import { expect, test } from "vitest";
import { Files } from "../../../src/runtime/filesystem/files.ts";
import { MemoryFileSystem } from "../../../src/runtime/sandbox/memory/memory-filesystem.ts";
import { failure, posix, readOnly } from "./file-systems.ts";

const KIB = 1024;
const BLOCK = 4 * KIB;

/** Inodes of a fresh tree: 14 directories and a link. */
const INITIAL_INODES = 15;

function open({ blocks = 16, inodes = 100 } = {}) {
  const fs = new MemoryFileSystem({ filesystemBytes: blocks * BLOCK, inodes });
  return { fs, files: new Files(fs) };
}

/** Counts the free blocks by filling them. */
async function freeBlocks(files: Files): Promise<number> {
  let free = 0;
  try {
    for (; ; free++) await files.writeFile(`/tmp/fill-${free}`, "x");
  } catch (error) {
    if ((error as { code: string }).code !== "ENOSPC") throw error;
  }
  for (let index = 0; index < free; index++) await files.delete(`/tmp/fill-${index}`);
  return free;
}

const block = (count: number) => new Uint8Array(count * BLOCK);

test("counts files in blocks of 4 KiB, and frees them", async () => {
  const { files } = open();
  expect(await freeBlocks(files)).toBe(16);
  await files.writeFile("/workspace/a", new Uint8Array(BLOCK + 1));
  expect((await files.stat("/workspace/a")).blocks).toBe(16);
  expect(await freeBlocks(files)).toBe(14);
  await files.writeFile("/workspace/empty", "");
  expect(await freeBlocks(files)).toBe(14);
  await files.delete("/workspace/a");
  expect(await freeBlocks(files)).toBe(16);
});

test("needs room for the old and the new content until the new is in place", async () => {
  const { files } = open();
  await files.writeFile("/workspace/a", block(8));
  await files.writeFile("/workspace/a", block(8));
  expect(await freeBlocks(files)).toBe(8);
  expect(await failure(files.writeFile("/workspace/a", block(9)))).toEqual(
    posix("ENOSPC: no space left on device, write '/workspace/a'"),
  );
  expect((await files.stat("/workspace/a")).size).toBe(8 * BLOCK);
  expect(await freeBlocks(files)).toBe(8);
  await files.writeFile("/workspace/a", "short");
  expect(await freeBlocks(files)).toBe(15);
});

test("frees the file that a rename replaces", async () => {
  const { files } = open();
  await files.writeFile("/workspace/a", block(3));
  await files.writeFile("/workspace/b", block(5));
  await files.move("/workspace/a", "/workspace/b");
  expect(await freeBlocks(files)).toBe(13);
  await files.move("/workspace/b", "/workspace/b");
  expect(await freeBlocks(files)).toBe(13);
  await files.delete("/workspace", { recursive: true });
  expect(await freeBlocks(files)).toBe(16);
});

test("counts content that is not yet in place", async () => {
  const { fs, files } = open();
  const writer = await fs.openWriter("/workspace/a");
  await writer.write(0, block(6));
  await writer.write(2 * BLOCK, block(6));
  expect(await freeBlocks(files)).toBe(8);
  expect(await failure(writer.write(8 * BLOCK, block(9)))).toEqual(
    posix("ENOSPC: no space left on device, write '/workspace/a'"),
  );
  await writer.close();
  expect(await freeBlocks(files)).toBe(16);
});

test("counts files, directories and links as inodes", async () => {
  const { fs, files } = open({ inodes: INITIAL_INODES + 3 });
  await files.writeFile("/workspace/a", "");
  await files.mkdir("/workspace/b");
  await fs.symlink("a", "/workspace/c");
  expect(await failure(files.writeFile("/workspace/d", ""))).toEqual(
    posix("ENOSPC: no space left on device, open '/workspace/d'"),
  );
  expect(await failure(files.mkdir("/workspace/d"))).toEqual(
    posix("ENOSPC: no space left on device, mkdir '/workspace/d'"),
  );
  expect(await failure(fs.symlink("a", "/workspace/d"))).toEqual(
    posix("ENOSPC: no space left on device, symlink 'a' -> '/workspace/d'"),
  );
  await files.delete("/workspace/b");
  await files.mkdir("/workspace/d");
  await files.delete("/workspace/c");
  await files.move("/workspace/d", "/workspace/e");
  await files.writeFile("/workspace/a", "needs a second inode while it is replaced");
  await files.delete("/workspace/a");
  await files.writeFiles([
    { path: "/workspace/f", content: "" },
    { path: "/workspace/g", content: "" },
  ]);
  expect(await files.readdir("/workspace")).toEqual(["e", "f", "g"]);
});

test("frees every inode, also after many rounds", async () => {
  const { files } = open({ inodes: INITIAL_INODES + 4 });
  for (let round = 0; round < 200; round++) {
    await files.mkdir("/workspace/a");
    await files.writeFile("/workspace/a/file", "x");
    await files.mkdir("/workspace/b");
    await files.move("/workspace/a", "/workspace/b");
    await files.delete("/workspace/b", { recursive: true });
  }
  await files.writeFile("/workspace/a/b/c/file", "x");
  expect((await failure(files.mkdir("/workspace/d"))).code).toBe("ENOSPC");
});

test("refuses writes below /usr, and to remove or move /usr", async () => {
  const { files, fs } = open();
  expect(await failure(files.writeFile("/usr/a", ""))).toEqual(readOnly("/usr/a"));
  expect(await failure(files.writeFile("/usr/local/bin/a", ""))).toEqual(readOnly("/usr/local/bin/a"));
  expect(await failure(files.mkdir("/usr/a"))).toEqual(readOnly("/usr/a"));
  expect(await failure(files.mkdir("/usr/a/b", { recursive: true }))).toEqual(readOnly("/usr/a/b"));
  expect(await failure(files.move("/workspace", "/usr/a"))).toEqual(readOnly("/usr/a"));
  expect(await failure(files.delete("/usr/a"))).toEqual(readOnly("/usr/a"));
  expect(await failure(fs.symlink("a", "/usr/a"))).toEqual(readOnly("/usr/a"));
  expect(await failure(fs.chmod("/usr", 0o777))).toEqual(readOnly("/usr"));
  expect(await failure(fs.utimes("/usr", 0, 0))).toEqual(readOnly("/usr"));
  expect(await failure(files.delete("/usr", { recursive: true }))).toEqual(
    posix("EBUSY: resource busy or locked, rmdir '/usr'"),
  );
  expect(await failure(files.move("/usr", "/workspace/usr"))).toEqual(
    posix("EBUSY: resource busy or locked, rename '/usr' -> '/workspace/usr'"),
  );
  await fs.symlink("../usr", "/workspace/link");
  expect(await failure(files.writeFile("/workspace/link/a", ""))).toEqual(readOnly("/workspace/link/a"));
  await files.mkdir("/usr");
  const { uid, gid, mode, dev } = await files.stat("/usr");
  expect({ uid, gid, mode }).toEqual({ uid: 65534, gid: 65534, mode: 0o40755 });
  expect(dev).not.toBe((await files.stat("/")).dev);
});
