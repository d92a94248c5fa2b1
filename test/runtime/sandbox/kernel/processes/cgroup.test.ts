// @module-tag any-user
// @module-tag attack
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { vmOptionsSchema } from "../../../../../src/runtime/options.ts";
import {
  cgroupPids,
  processCapacity,
  vmCapacity,
} from "../../../../../src/runtime/sandbox/kernel/processes/capacity.ts";
import { cgroupSupport } from "../../../../../src/runtime/sandbox/kernel/processes/cgroup.ts";
import {
  type Controller,
  poolSettings,
  vmSettings,
} from "../../../../../src/runtime/sandbox/kernel/processes/cgroup-settings.ts";
import { ownDescendants } from "../../../../support/host.ts";
import { startVm } from "../../../../support/vm.ts";

const MIB = 1024 * 1024;
const { create, sharesCpu } = cgroupSupport();
const { limits } = vmOptionsSchema.parse({ limits: { memoryBytes: 64 * MIB, processes: 100, cpus: 1.5 } });

test("version 2: one cgroup for all controllers", () => {
  const controllers: Controller[] = ["memory", "pids", "cpu", "io"];
  expect(vmSettings({ version: "v2", controllers }, limits)).toEqual([
    ["memory.max", 64 * MIB],
    ["memory.swap.max", 0],
    ["pids.max", cgroupPids(limits)],
    ["cpu.max", "150000 100000"],
  ]);
  expect(poolSettings({ version: "v2", controllers }, 4)).toEqual([
    ["pids.max", processCapacity()],
    ["cpu.weight", 200],
    ["cgroup.subtree_control", "+memory +pids +cpu +io"],
  ]);
});

test("version 1: a cgroup for each controller", () => {
  const settings = (name: Controller) => vmSettings({ version: "v1", controllers: [name] }, limits);
  expect(settings("memory")).toEqual([
    ["memory.limit_in_bytes", 64 * MIB],
    ["memory.memsw.limit_in_bytes", 64 * MIB],
    ["memory.kmem.tcp.limit_in_bytes", 16 * MIB],
  ]);
  expect(settings("cpu")).toEqual([
    ["cpu.cfs_period_us", 100_000],
    ["cpu.cfs_quota_us", 150_000],
  ]);
  expect(settings("io")).toEqual([]);
  expect(poolSettings({ version: "v1", controllers: ["cpu"] }, 4)).toEqual([["cpu.shares", 2048]]);
});

test("the host has processes for some VMs with the default limits", () => {
  expect(vmCapacity(vmOptionsSchema.parse({}).limits)).toBeGreaterThan(0);
  expect(processCapacity()).toBeLessThan(Number(readFileSync("/proc/sys/kernel/pid_max", "utf8")));
});

/** Path of the cgroup of a process of this test's VM that has a name; `undefined` until there is one. */
function cgroupOf(program: string, controller: string): string | undefined {
  const pid = ownDescendants().find((pid) => readFileSync(`/proc/${pid}/comm`, "utf8") === `${program}\n`);
  if (pid === undefined) return undefined;
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
  const line = lines.find((line) => line.split(":")[1]?.split(",").includes(controller));
  const path = (line ?? lines.find((line) => line.startsWith("0::")) ?? "").split(":")[2] as string;
  return join("/sys/fs/cgroup", line === undefined ? "" : controller, path);
}

test.runIf(sharesCpu)("limits.cpus: the kernel pauses a VM that uses more", async () => {
  const { vm } = startVm({ limits: { cpus: 0.1 } });
  await vm.spawn("sh", ["-c", "while :; do :; done"]);
  await vm.spawn("sleep", ["1001"]);
  const throttled = () => {
    const path = cgroupOf("sleep", "cpu");
    return Number(path && /nr_throttled (\d+)/.exec(readFileSync(join(path, "cpu.stat"), "utf8"))?.[1]);
  };
  await expect.poll(throttled).toBeGreaterThan(0);
});

test.runIf(create)("one cgroup above all VMs limits their processes", async () => {
  const { vm } = startVm();
  await vm.spawn("sleep", ["1001"]);
  const path = await vi.waitUntil(() => cgroupOf("sleep", "pids"));
  expect(readFileSync(join(path, "..", "pids.max"), "utf8").trim()).toBe(String(processCapacity()));
});

/** Sums the CPU time of all processes of a VM, in the kernel's ticks. */
const CPU_TIME = "cat /proc/[0-9]*/stat | awk '{ sum += $14 + $15 } END { print sum }'";

test.runIf(sharesCpu)(
  "a VM with many busy processes has no more of the CPUs than a VM with few",
  { tags: ["slow"] },
  async () => {
    const [many, few] = [startVm().vm, startVm().vm];
    const keepBusy = (count: number) =>
      `for i in $(seq ${count}); do setsid sh -c 'while :; do :; done' & done > /dev/null 2>&1`;
    await Promise.all([few.exec(keepBusy(4)), many.exec(keepBusy(100))]);
    const time = async (vm: typeof few) => Number((await vm.exec(CPU_TIME)).stdout);
    const before = { many: await time(many), few: await time(few) };
    await expect.poll(async () => (await time(few)) - before.few, { timeout: 60_000 }).toBeGreaterThan(100);
    const used = { many: (await time(many)) - before.many, few: (await time(few)) - before.few };
    expect(used.many / used.few).toBeLessThan(3);
  },
);

/** Fills sockets, and prints how many bytes they took. */
const FILL_SOCKETS = `
import socket
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen(1000)
kept, sent, piece = [], 0, bytes(65536)
while sent < 120 << 20 and len(kept) < 1500:
  one = socket.socket(); one.setsockopt(1, 7, 4 << 20); one.connect(listener.getsockname())
  other, _ = listener.accept(); one.setblocking(False); kept += [one, other]
  try:
    while sent < 120 << 20: sent += one.send(piece)
  except BlockingIOError: pass
print(sent >> 20)`;

test.runIf(create)("memoryBytes: buffers of sockets count", async () => {
  const { vm } = startVm({ limits: { memoryBytes: 32 * MIB } });
  const { stdout, reason } = await vm.execArgv("python3", ["-c", FILL_SOCKETS]);
  // Version 2 counts them as the VM's memory.
  if (reason !== "oom") expect(Number(stdout)).toBeLessThan(60);
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
});

test("zombies count as processes of their VM alone", async () => {
  const { vm, output, outputHas } = startVm({ limits: { processes: 64 } });
  const other = startVm({ limits: { processes: 64 } }).vm;
  const { pid } = await vm.spawn("python3", [
    "-c",
    `
import os, time
count = 0
try:
  while count < 1000:
    if os.fork() == 0: os._exit(0)
    count += 1
except BlockingIOError: print(count, flush=True)
time.sleep(1001)`,
  ]);
  await outputHas(pid, "\n");
  expect(Number(output(pid))).toBeLessThan(64);
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
  expect((await other.exec("echo on")).stdout).toBe("on\n");
});
