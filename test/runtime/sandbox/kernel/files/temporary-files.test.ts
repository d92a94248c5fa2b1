// @module-tag any-user
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { FileCalls } from "../../../../../src/runtime/sandbox/kernel/files/calls.ts";
import { failure, openRoot, posix } from "../../../filesystem/file-systems.ts";
import { useScratch } from "./scratch.ts";

const scratch = useScratch();
const FORGOTTEN = ".agent-vm-0123456789abcdef01234567";

const onHost = () => readdirSync(join(scratch.root, "workspace"));

test("a writer uses a temporary file beside the file until commit", async () => {
  const writer = await scratch.fs.openWriter("/workspace/a");
  await writer.write(0, Buffer.from("x"));
  expect(onHost()).toEqual([expect.stringMatching(/^\.agent-vm-[0-9a-f]{24}$/)]);
  await writer.commit();
  expect(onHost()).toEqual(["a"]);
});

test("closing a writer or the file system removes its temporary file", async () => {
  const writer = await scratch.fs.openWriter("/workspace/a");
  await writer.close();
  expect(onHost()).toEqual([]);
  const other = await scratch.fs.openWriter("/workspace/b");
  await scratch.fs.close();
  expect(onHost()).toEqual([]);
  expect((await failure(other.commit())).code).toBe("EBADF");
  expect(onHost()).toEqual([]);
});

test("temporary files are not listed, and a directory with them can be deleted", async () => {
  const folder = join(scratch.root, "workspace/folder");
  mkdirSync(folder);
  writeFileSync(join(folder, FORGOTTEN), "");
  writeFileSync(join(folder, `${FORGOTTEN}0`), "");
  const files = new Files(scratch.fs);
  expect(await files.readdir("/workspace/folder")).toEqual([`${FORGOTTEN}0`]);
  expect(await failure(files.delete("/workspace/folder"))).toEqual(
    posix("ENOTEMPTY: directory not empty, rmdir '/workspace/folder'"),
  );
  await files.delete(`/workspace/folder/${FORGOTTEN}0`);
  await files.delete("/workspace/folder");
  expect(onHost()).toEqual([]);
});

test("a process of the VM may remove or replace a temporary file without harm", async () => {
  const files = new Files(scratch.fs);
  const removed = await scratch.fs.openWriter("/workspace/a");
  await files.delete(`/workspace/${onHost()[0]}`);
  await removed.write(0, Buffer.from("x"));
  expect(await failure(removed.commit())).toEqual(
    posix("ENOENT: no such file or directory, open '/workspace/a'"),
  );
  const replaced = await scratch.fs.openWriter("/workspace/a");
  const temporary = `/workspace/${onHost()[0]}`;
  await files.delete(temporary);
  await scratch.fs.symlink(join(scratch.outside, "secret"), temporary);
  await replaced.write(0, Buffer.from("never written there"));
  await replaced.commit();
  expect((await files.lstat("/workspace/a")).isSymbolicLink).toBe(true);
  expect((await failure(files.readFile("/workspace/a"))).code).toBe("ENOENT");
});

test("deleting a directory opens none of its empty temporary files", async () => {
  const folder = join(scratch.root, "workspace/folder");
  mkdirSync(folder);
  for (let index = 0; index < 900; index++)
    writeFileSync(join(folder, `.agent-vm-${index.toString(16).padStart(24, "0")}`), "");
  const calls = new FileCalls();
  const opens = vi.spyOn(calls, "open");
  const fs = openRoot(scratch.root, calls);
  await fs.rmdir("/workspace/folder");
  await fs.close();
  expect(opens).toHaveBeenCalled();
  expect(opens.mock.calls.length).toBeLessThan(50);
  expect(onHost()).toEqual([]);
});

test("a directory with thousands of temporary files can be deleted", async () => {
  const folder = join(scratch.root, "workspace/folder");
  mkdirSync(folder);
  for (let index = 0; index < 2500; index++)
    writeFileSync(join(folder, `.agent-vm-${index.toString(16).padStart(24, "0")}`), "");
  await new Files(scratch.fs).delete("/workspace/folder", { recursive: true });
  expect(onHost()).toEqual([]);
});
