// @module-tag any-user
import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

const MIB = 1024 * 1024;

test("a VM warns of files and processes close to their limits, and names the options", async () => {
  const { vm, event, events } = startVm({
    limits: { filesystemBytes: 8 * MIB, inodes: 1_000, processes: 64 },
  });
  const { pid } = await vm.spawn("sh", [
    "-c",
    "head -c 7000000 /dev/zero > big; cd /tmp; seq 850 | xargs touch; for i in $(seq 52); do sleep 60 & done; wait",
  ]);
  const warned = (limit: string) => event("limitWarning", (warning) => warning.limit === limit);
  expect(await warned("filesystemBytes")).toMatchObject({
    capacity: 8 * MIB,
    path: "limits.filesystemBytes",
    message: expect.stringContaining("limits.filesystemBytes raises the limit"),
  });
  expect((await warned("inodes")).observed).toBeGreaterThanOrEqual(800);
  expect((await warned("processes")).observed).toBeLessThanOrEqual(64);
  // A measurement that finds no crossing says nothing.
  const before = events.filter(({ name }) => name === "limitWarning").length;
  await vm.usage();
  expect(events.filter(({ name }) => name === "limitWarning")).toHaveLength(before);
  await vm.killProcess(pid, { tree: true });
});

test("a VM warns again after its files were below 70 % of the limit", async () => {
  const { vm, events } = startVm({ limits: { filesystemBytes: 8 * MIB } });
  const warnings = () => events.filter(({ name }) => name === "limitWarning").length;
  const fill = () => vm.writeFile("/workspace/big", new Uint8Array(7 * MIB));
  await fill();
  await vm.usage();
  expect(warnings()).toBe(1);
  await vm.usage();
  expect(warnings()).toBe(1);
  await vm.delete("/workspace/big");
  await vm.usage();
  await fill();
  await vm.usage();
  expect(warnings()).toBe(2);
});

test("an error at the limit of files names the options that raise it", async () => {
  const { vm } = startVm({ limits: { filesystemBytes: 2 * MIB } });
  await expect(vm.writeFile("/workspace/big", new Uint8Array(7 * MIB))).rejects.toMatchObject({
    code: "ENOSPC",
    metadata: { hint: expect.stringContaining("limits.filesystemBytes") },
  });
});
