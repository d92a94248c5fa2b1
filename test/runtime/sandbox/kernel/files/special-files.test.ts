// @module-tag any-user
// @module-tag attack
import { execFileSync, spawn } from "node:child_process";
import { lstatSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { failure, posix } from "../../../filesystem/file-systems.ts";
import { useScratch } from "./scratch.ts";

const scratch = useScratch();
const data = Buffer.from("data");

function makeFifo(): void {
  execFileSync("mkfifo", [join(scratch.root, "workspace/fifo")]);
}

async function listen(path: string): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

/** Expects every call to fail at once instead of waiting for the other end. */
async function expectRefusals(path: string, kind: string): Promise<void> {
  const refusal = posix(`EINVAL: not a regular file but a ${kind}, open '${path}'`);
  const { fs } = scratch;
  expect(await failure(fs.readFile(path))).toEqual(refusal);
  expect(await failure(fs.openReader(path))).toEqual(refusal);
  expect(await failure(fs.writeFile(path, data))).toEqual(refusal);
  expect(await failure(fs.openWriter(path))).toEqual(refusal);
}

test("neither reads nor writes a FIFO", async () => {
  makeFifo();
  await expectRefusals("/workspace/fifo", "FIFO");
  await scratch.fs.symlink("fifo", "/workspace/link");
  await expectRefusals("/workspace/link", "FIFO");
});

test("neither reads nor writes a FIFO with a writer", async () => {
  makeFifo();
  const writer = spawn("sh", ["-c", `exec cat /dev/zero > ${join(scratch.root, "workspace/fifo")}`]);
  await expectRefusals("/workspace/fifo", "FIFO");
  writer.kill("SIGKILL");
});

test("neither reads nor writes a socket", async () => {
  const server = await listen(join(scratch.root, "workspace/socket"));
  await expectRefusals("/workspace/socket", "socket");
  await new Promise((resolve) => server.close(resolve));
});

test("neither reads nor writes a device", async (context) => {
  try {
    const options = { stdio: "pipe" } as const;
    execFileSync("mknod", [join(scratch.root, "workspace/char"), "c", "1", "5"], options);
    execFileSync("mknod", [join(scratch.root, "workspace/block"), "b", "7", "0"], options);
  } catch {
    context.skip("only root makes device nodes");
  }
  await expectRefusals("/workspace/char", "character device");
  await expectRefusals("/workspace/block", "block device");
});

test("describes, lists, moves and deletes special files", async () => {
  const { fs, root } = scratch;
  const files = new Files(fs);
  makeFifo();
  const server = await listen(join(root, "workspace/socket"));
  expect(await files.readdirRecursive("/workspace")).toEqual([
    { path: "/workspace/fifo", type: "file", size: 0 },
    { path: "/workspace/socket", type: "file", size: 0 },
  ]);
  expect((await fs.readdir("/workspace")).map(({ type }) => type)).toEqual(["other", "other"]);
  expect((await files.stat("/workspace/fifo")).mode & 0o170000).toBe(0o010000);
  await files.move("/workspace/fifo", "/workspace/moved");
  expect(lstatSync(join(root, "workspace/moved")).isFIFO()).toBe(true);
  await files.delete("/workspace/moved");
  await files.delete("/workspace/socket");
  expect(await files.readdir("/workspace")).toEqual([]);
  server.close();
});

/** Without O_NONBLOCK, open(2) waits up to 45 s for the holder of the lease. */
test("does not wait for a process that holds a lease on a file", async (context) => {
  const path = join(scratch.root, "workspace/leased");
  writeFileSync(path, "content");
  const script =
    "import fcntl,os,signal,sys,time; signal.signal(signal.SIGIO, signal.SIG_IGN); fd=os.open(sys.argv[1], os.O_RDWR); fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK); print('leased', flush=True); time.sleep(60)";
  const holder = spawn("python3", ["-c", script, path], { stdio: ["ignore", "pipe", "pipe"] });
  const isLeased = await new Promise<boolean>((resolve) => {
    holder.stdout.once("data", () => resolve(true));
    holder.once("error", () => resolve(false));
    holder.once("exit", () => resolve(false));
  });
  if (!isLeased) context.skip("no python3, or no leases on this file system");
  expect(await failure(scratch.fs.readFile("/workspace/leased"))).toEqual(
    posix("EAGAIN: resource temporarily unavailable, open '/workspace/leased'"),
  );
  await scratch.fs.writeFile("/workspace/leased", data);
  expect((await scratch.fs.stat("/workspace/leased")).size).toBe(4);
  holder.kill("SIGKILL");
});
