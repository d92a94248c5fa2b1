import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Reading, storeContent } from "../../../src/runtime/persistence/contents.ts";
import { PackWriter } from "../../../src/runtime/persistence/packs.ts";
import { MemoryFileSystem } from "../../../src/runtime/sandbox/memory/memory-filesystem.ts";
import type { TreeCursor, TreePlace } from "../../../src/runtime/sandbox/persistent-tree.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";

const ROOT: TreePlace = { parent: null, name: "", depth: 0 };
const FOLDER: TreePlace = { parent: ROOT, name: "workspace", depth: 1 };

let files: MemoryFileSystem;
let cursor: TreeCursor;

beforeEach(async () => {
  files = new MemoryFileSystem({ filesystemBytes: 2 ** 24, inodes: 1000 });
  cursor = files.tree.cursor();
  await files.writeFile("/workspace/file", Buffer.alloc(0));
});

afterEach(async () => {
  await cursor.close();
  await files.close();
});

/** Stores the content of a file that was listed as an empty one. @param meanwhile runs after that */
async function stored(meanwhile: () => Promise<void> = async () => undefined): Promise<Reading> {
  const place = { parent: FOLDER, name: "file", depth: 2 };
  const node = await cursor.stat(place);
  if (node === undefined) throw new Error("no such file");
  await meanwhile();
  const account = files.tree.budget.open();
  const packs = new PackWriter(new MemoryStore(), 1, new Map());
  return await storeContent(cursor, { ...node, size: 0, ...place }, packs, account);
}

test("an empty file is not opened", async () => {
  const open = vi.spyOn(cursor, "open");
  expect(await stored()).toMatchObject({ size: 0, chunks: [] });
  expect(open).not.toHaveBeenCalled();
});

test("an empty file that has got content since it was listed is stored with its content", async () => {
  await files.writeFile("/workspace/file", Buffer.from("content"));
  expect(await stored()).toMatchObject({ size: 7, chunks: [{ length: 7 }] });
});

test("an empty file whose name another file has since it was listed is gone", async () => {
  const replace = async () => {
    await files.rename("/workspace/file", "/workspace/other");
    await files.writeFile("/workspace/file", Buffer.alloc(0));
  };
  expect(await stored(replace)).toBe("gone");
});

test("an empty file that has moved since it was listed is gone", async () => {
  expect(await stored(() => files.rename("/workspace/file", "/workspace/other"))).toBe("gone");
});

test("an empty file whose folder has gone since it was listed is gone", async () => {
  expect(await stored(() => files.rename("/workspace", "/other"))).toBe("gone");
});
