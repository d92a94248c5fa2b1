// @module-tag any-user
// @module-tag attack
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { StdinStore } from "../../../../../src/runtime/sandbox/kernel/commands/stdin-store.ts";
import { readOnlyPath } from "../../../../../src/runtime/sandbox/posix.ts";
import { until } from "../../../../support/until.ts";
import { startVm, type TestVm } from "../../../../support/vm.ts";

const MIB = 1024 * 1024;

/** More than the memory that all VMs have for unread input, so that any further input is in a file. */
const FULL = [31, 31, 31, 31, 31, 31];

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

/** Files without a name that this process holds. */
function namelessFiles(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).endsWith("(deleted)");
    } catch {
      return false;
    }
  }).length;
}

async function usedBytes(vm: TestVm["vm"]): Promise<number> {
  return Number((await vm.exec("df --output=used -B1 / | tail -1")).stdout);
}

/** Starts commands that do not read their input. */
async function fill(vm: TestVm["vm"], sizes: readonly number[]): Promise<number[]> {
  const pids: number[] = [];
  for (const size of sizes)
    pids.push((await vm.spawn("sleep", ["600"], { stdin: new Uint8Array(size * MIB) })).pid);
  return pids;
}

test("input that nobody reads takes the VM's own room, and a program that reads later gets all of it in order", async () => {
  const { vm, output } = startVm();
  await vm.exec("true");
  const before = await usedBytes(vm);
  const pids = await fill(vm, FULL);
  expect((await usedBytes(vm)) - before).toBeGreaterThan(100 * MIB);

  const first = randomBytes(9 * MIB);
  const parts = Array.from({ length: 300 }, () => randomBytes(1 + Math.floor(Math.random() * 60_000)));
  const { pid } = await vm.spawn("sh", ["-c", "until [ -e /tmp/go ]; do sleep 0.05; done; exec sha256sum"], {
    stdin: first,
  });
  for (const part of parts) await vm.writeProcessStdin(pid, part);
  await vm.closeProcessStdin(pid);
  await vm.writeProcessStdin(pid, Buffer.from("ignored"));
  await vm.writeFile("/tmp/go", "");
  expect(await vm.waitProcess(pid)).toBe(0);
  expect(output(pid)).toContain(sha256(Buffer.concat([first, ...parts])));

  for (const one of pids) await vm.killProcess(one);
  await until(async () => (await usedBytes(vm)) - before < 2 * MIB);
});

test("a slow reader of many writes past the memory limit gets them in order", async () => {
  const { vm, output } = startVm();
  await fill(vm, FULL);
  const reader =
    "while dd bs=1M count=1 iflag=fullblock status=none > /tmp/part && [ -s /tmp/part ]; do cat /tmp/part >> /tmp/all; sleep 0.02; done; sha256sum < /tmp/all";
  const { pid } = await vm.spawn("sh", ["-c", reader]);
  const parts = Array.from({ length: 400 }, (_, index) => randomBytes(index % 2 === 0 ? 50_000 : 1));
  for (const part of parts) await vm.writeProcessStdin(pid, part);
  await vm.closeProcessStdin(pid);
  expect(await vm.waitProcess(pid)).toBe(0);
  expect(output(pid)).toContain(sha256(Buffer.concat(parts)));
});

test("a VM without room refuses further input before the command starts, and a small input still arrives", async () => {
  const { vm } = startVm({ limits: { filesystemBytes: 48 * MIB } });
  const [pid = 0] = await fill(vm, [31, 31]);
  await expect(vm.exec("touch /tmp/started", { stdin: new Uint8Array(31 * MIB) })).rejects.toMatchObject({
    code: "ENOSPC",
  });
  expect(await vm.exists("/tmp/started")).toBe(false);
  await expect(vm.writeProcessStdin(pid, new Uint8Array(31 * MIB))).rejects.toMatchObject({
    code: "limit_exceeded",
  });
  // The input that was refused leaves nothing.
  await until(async () => (await usedBytes(vm)) < 34 * MIB);
  const other = startVm();
  expect((await other.vm.exec("wc -c", { stdin: new Uint8Array(31 * MIB) })).stdout).toBe(`${31 * MIB}\n`);
  expect((await vm.exec("cat", { stdin: "small" })).stdout).toBe("small");
});

test("a write for which there is no room leaves nothing of itself", async () => {
  const { vm } = startVm({ limits: { filesystemBytes: 48 * MIB } });
  const [, pid = 0] = await fill(vm, [31, 4]);
  await vm.writeFile("/tmp/fill", new Uint8Array(24 * MIB));
  const before = await usedBytes(vm);
  await expect(vm.writeProcessStdin(pid, new Uint8Array(25 * MIB))).rejects.toMatchObject({ code: "ENOSPC" });
  expect((await usedBytes(vm)) - before).toBeLessThan(MIB);
});

test("a part of a message does not keep the message in memory", () => {
  const store = new StdinStore(() => {
    throw new Error("there is no file tree");
  });
  const message = new Uint8Array(25 * MIB);
  expect(store.hold(message.subarray(0, 70_000)).next()?.buffer.byteLength).toBe(70_000);
  const part = store.hold(message.subarray(1, 24 * MIB));
  expect(() => store.hold(new Uint8Array(8 * MIB))).toThrow("there is no file tree");
  expect(part.next()?.buffer.byteLength).toBe(24 * MIB - 1);
  store.close();
});

test("a VM whose files are read-only holds input in memory alone, and refuses more with a reason", () => {
  const store = new StdinStore(() => {
    throw readOnlyPath("/dev/stdin");
  });
  const held = store.hold(new Uint8Array(31 * MIB));
  expect(() => store.hold(new Uint8Array(2 * MIB))).toThrow(
    expect.objectContaining({
      code: "limit_exceeded",
      message: expect.stringContaining("read-only"),
      metadata: expect.objectContaining({ limit: "MAX_STDIN_BYTES" }),
    }),
  );
  held.release();
  expect(store.hold(new Uint8Array(2 * MIB)).rest).toBe(2 * MIB);
  store.close();
});

test("a VM that ends with unread input leaves no file open", async () => {
  const { vm } = startVm();
  await vm.exec("true");
  const before = namelessFiles();
  const held = FULL.map((size) =>
    vm.exec("sleep 600", { stdin: new Uint8Array(size * MIB) }).catch((error: unknown) => error),
  );
  await until(() => namelessFiles() > before);
  await vm.dispose("destroy");
  await Promise.all(held);
  await until(() => namelessFiles() <= before);
});
