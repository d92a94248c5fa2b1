import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { failure, posix } from "../../../filesystem/file-systems.ts";
import { useScratch } from "./scratch.ts";

const scratch = useScratch();
const FORGOTTEN = ".agent-vm-0123456789abcdef01234567";

const onHost = () => readdirSync(join(scratch.root, "workspace"));

it("lie beside the file until it is in place", async () => {
  const writer = await scratch.fs.openWriter("/workspace/a");
  await writer.write(0, Buffer.from("x"));
  expect(onHost()).toEqual([expect.stringMatching(/^\.agent-vm-[0-9a-f]{24}$/)]);
  await writer.commit();
  expect(onHost()).toEqual(["a"]);
});

it("go when a write is given up, and when the file system is closed", async () => {
  const writer = await scratch.fs.openWriter("/workspace/a");
  await writer.close();
  expect(onHost()).toEqual([]);
  const other = await scratch.fs.openWriter("/workspace/b");
  await scratch.fs.close();
  expect(onHost()).toEqual([]);
  expect((await failure(other.commit())).code).toBe("EBADF");
  expect(onHost()).toEqual([]);
});

it("are not listed, and do not keep a directory from being removed", async () => {
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

it("may be removed or replaced by a process of the VM, without harm", async () => {
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

it("do not keep a directory, even if there are thousands", async () => {
  const folder = join(scratch.root, "workspace/folder");
  mkdirSync(folder);
  for (let index = 0; index < 2500; index++)
    writeFileSync(join(folder, `.agent-vm-${index.toString(16).padStart(24, "0")}`), "");
  await new Files(scratch.fs).delete("/workspace/folder", { recursive: true });
  expect(onHost()).toEqual([]);
});
