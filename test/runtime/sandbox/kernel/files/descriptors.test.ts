// @module-tag any-user
import { readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { Import } from "../../../../../src/runtime/tar/import.ts";
import { TarUpload } from "../../../../../src/runtime/tar/upload.ts";
import { FileTransfers } from "../../../../../src/runtime/transfers/file-transfers.ts";
import { madeTar } from "../../../../support/made-tar.ts";
import { until } from "../../../../support/until.ts";
import { useScratch } from "./scratch.ts";

const scratch = useScratch();

const countOpen = () => readdirSync("/proc/self/fd").length;

/** Calls every method of the file system, with success and with failure. */
async function useAll(files: Files, transfers: FileTransfers): Promise<void> {
  const { fs } = scratch;
  await files.writeFile("/workspace/a/b/file", "content");
  await files.writeFile("/workspace/large", new Uint8Array(1024 * 1024));
  await files.writeFile("/workspace/loop-target", "");
  const { transferId } = await transfers.beginFileWrite("/workspace/c", 1);
  await transfers.writeFileChunk(transferId, 0, new Uint8Array(1));
  await transfers.commitFileWrite(transferId);
  const given = await transfers.beginFileWrite("/workspace/c", 1);
  await transfers.endFileTransfer(given.transferId);
  const read = await transfers.beginFileRead("/workspace/large");
  await transfers.readFileChunk(read.transferId ?? "", 0);
  await transfers.endFileTransfer(read.transferId ?? "");
  const paths = [
    "/",
    "/home/user",
    "/workspace",
    "/workspace/",
    "/workspace/a/b/file",
    "/workspace/a/b/file/",
    "/workspace/a/b/file/x",
    "/workspace/large",
    "/workspace/none",
    "/workspace/none/x",
    "/workspace/loop",
    "/workspace/loop/x",
    "/workspace/dangling",
    "/workspace/deep-link",
    `/workspace/a/b/${"x".repeat(256)}`,
  ];
  const calls: (() => Promise<unknown>)[] = paths.flatMap((path) => [
    () => files.readFile(path),
    () => files.stat(path),
    () => files.lstat(path),
    () => files.readdir(path),
    () => files.readdirRecursive(path),
    () => fs.readlink(path),
    () => fs.symlink("x", path),
    () => fs.rmdir(path),
    () => files.mkdir(path),
    () => fs.chmod(path, 0o755),
    () => fs.utimes(path, 0, 0),
    () => files.move(path, "/workspace/none/y"),
    () => files.move("/workspace/a", path),
    () => files.writeFile(path, "x"),
    () => files.delete(path),
  ]);
  for (const call of calls) await call().catch(() => undefined);
  await files.delete("/workspace", { recursive: true });
  await files.mkdir("/workspace");
}

test("every call closes its descriptors, also if it fails", async () => {
  const files = new Files(scratch.fs);
  const transfers = new FileTransfers(scratch.fs, { chunkBytes: 1000 });
  const makeLinks = () => {
    symlinkSync("loop", join(scratch.root, "workspace/loop"));
    symlinkSync("none", join(scratch.root, "workspace/dangling"));
    symlinkSync("a/b/../b/file", join(scratch.root, "workspace/deep-link"));
  };
  makeLinks();
  await useAll(files, transfers);
  const before = countOpen();
  for (let round = 0; round < 5; round++) {
    makeLinks();
    await useAll(files, transfers);
  }
  expect(countOpen()).toBe(before);
});

test("close() closes the descriptors of open files", async () => {
  const before = countOpen();
  const { fs } = scratch;
  await fs.writeFile("/workspace/a", new Uint8Array(10));
  for (let index = 0; index < 10; index++) {
    await fs.openReader("/workspace/a");
    await fs.openWriter(`/workspace/${index}`);
  }
  expect(countOpen()).toBe(before + 30);
  await fs.close();
  expect(countOpen()).toBe(before - 1);
});

test("an archive whose upload is closed while it unpacks leaves no descriptor", async () => {
  const { fs } = scratch;
  const before = countOpen();
  const archive = await madeTar(
    ...Array.from({ length: 2_000 }, (_, index) => ({ name: `d${index}/x/y`, type: "directory" as const })),
  );
  for (let round = 0; round < 5; round++) {
    const upload = new TarUpload(new Import(fs, "/workspace/target"));
    const writing = upload.write(0, archive).catch(() => undefined);
    await until(() => countOpen() > before);
    await upload.close();
    await writing;
    expect(countOpen()).toBe(before);
  }
});
