// @module-tag any-user
import { expect, test } from "vitest";
import { cgroupSupport } from "../../../src/runtime/sandbox/kernel/processes/cgroup.ts";
import { durableVm } from "../../support/durable-vm.ts";

const MIB = 1024 * 1024;

test("status shows what an awake VM uses of its limits", async () => {
  const vm = durableVm({ limits: { processes: 100, memoryBytes: 256 * MIB } }).vm();
  await vm.exec("true");
  const idle = await vm.status();
  expect(idle).toMatchObject({ state: "awake", generation: 1, labels: {}, sessions: 0, shells: 0 });
  await vm.openShell();
  await vm.spawn("python3", ["-c", `x = bytearray(${64 * MIB}); input()`]);
  await vm.exec(`head -c ${20 * MIB} /dev/zero > /workspace/big; mkdir /workspace/{1..50}`);
  await vm.exec("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
  await expect.poll(async () => (await vm.status()).memory.used).toBeGreaterThan(64 * MIB);
  const busy = await vm.status();
  expect(busy.shells).toBe(1);
  expect(busy.processes.used).toBeGreaterThanOrEqual((idle.processes.used ?? 0) + 2);
  expect(busy.processes.limit).toBe(100);
  expect(busy.memory).toMatchObject({ limit: 256 * MIB, enforced: cgroupSupport().create !== undefined });
  expect(busy.cpu.used).toBeGreaterThan(idle.cpu.used ?? 0);
  expect(busy.disk.used).toBeGreaterThanOrEqual(20 * MIB);
  expect((busy.files.used ?? 0) - (idle.files.used ?? 0)).toBe(51);
  expect(busy.uptimeMs).toBeGreaterThanOrEqual(idle.uptimeMs);
});

test("status shows a sleeping VM and does not boot it", async () => {
  const durable = durableVm();
  const vm = durable.vm();
  expect(await vm.status()).toMatchObject({ state: "sleeping", generation: 0, bootedAt: null, uptimeMs: 0 });
  await vm.exec(`head -c ${2 * MIB} /dev/zero > /workspace/big`);
  await vm.setLabels({ team: "a" });
  await vm.sleep();
  const asleep = await vm.status();
  expect(asleep).toMatchObject({
    state: "sleeping",
    labels: { team: "a" },
    processes: { used: 0 },
    memory: { used: 0 },
  });
  expect(asleep.disk.used).toBeGreaterThanOrEqual(2 * MIB);
  expect(asleep.files.used).toBeGreaterThan(0);
  await durable.sleep();
  expect(await durable.vm().status()).toMatchObject({
    state: "sleeping",
    labels: { team: "a" },
    generation: 1,
  });
});

test("each boot has its own generation", async () => {
  const durable = durableVm();
  const vm = durable.vm();
  for (const generation of [1, 2]) {
    await vm.exec("true");
    await expect.poll(async () => (await vm.status()).generation).toBe(generation);
    await vm.sleep();
  }
});
