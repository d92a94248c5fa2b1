// @module-tag any-user
import { globSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { vmOptionsSchema } from "../../src/runtime/options.ts";
import { assembleVm } from "../../src/runtime/vm.ts";
import { openShared } from "../../src/runtime/vm-shared.ts";
import { openDescriptors, ownDescendants } from "../support/host.ts";
import { startVm } from "../support/vm.ts";

const hooks = { emit: () => undefined, keepAwake: () => undefined };

function cgroups(): string[] {
  const roots = ["/sys/fs/cgroup", ...["memory", "pids", "cpu"].map((name) => `/sys/fs/cgroup/${name}`)];
  // Cgroups of other servers come and go meanwhile.
  return roots.flatMap((root) => globSync(`**/agent-vm-${process.pid}-*`, { cwd: root }));
}

function scratch(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(`agent-vm-${process.pid}-`));
}

/** Mounts of this process. Other tests mount too. */
function mounts(): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.filter((line) => line.includes(`agent-vm-${process.pid}-`));
}

test("a hundred VMs, booted, used and disposed, leave everything as it was", { tags: ["slow"] }, async () => {
  const options = vmOptionsSchema.parse({});
  const shared = openShared(options);
  const cycle = async () => {
    const vm = assembleVm(shared, hooks);
    await vm.setNetworkPolicy({ outbound: { allow: ["vm.example"] } });
    await vm.watchFiles("/workspace", { recursive: true });
    await vm.scheduleCron({ schedule: "* * * * *", action: { type: "exec", command: "true" } });
    await vm.createPreview(3000);
    await vm.writeFile("/workspace/file", "content");
    const { shellId } = await vm.openShell();
    await vm.writeShell(shellId, "sleep 1000 &\n");
    await vm.spawn("sleep", ["1000"]);
    await vm.spawn("cat");
    await vm.exec("setsid -f sleep 1000; (while :; do echo; sleep 0.1; done) &");
    const inFlight = Promise.allSettled([vm.exec("sleep 1000"), vm.exec("sleep 1000")]);
    await vm.dispose("destroy");
    for (const outcome of await inFlight) {
      if (outcome.status === "fulfilled") expect(outcome.value).toMatchObject({ reason: "vm_stopped" });
      else expect(outcome.reason).toMatchObject({ code: "vm_stopped" });
    }
  };
  // The first one opens what the server keeps.
  await cycle();
  const before = { descriptors: openDescriptors(), mounts: mounts(), scratch: scratch() };
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 5 }, cycle));
  await expect.poll(ownDescendants).toEqual([]);
  const stable = (list: string[]) => list.map((target) => target.replace(/\d+/g, "N"));
  await expect.poll(() => stable(openDescriptors())).toEqual(stable(before.descriptors));
  expect(mounts()).toEqual(before.mounts);
  expect(scratch()).toEqual(before.scratch);
  expect(cgroups()).toEqual([]);
});

test("dispose is idempotent, and calls in flight end", async () => {
  const { vm, events } = startVm();
  const { pid } = await vm.spawn("sleep", ["1000"]);
  const { shellId } = await vm.openShell();
  const waiting = Promise.all([vm.waitProcess(pid), vm.waitShell(shellId)]);
  await Promise.all([vm.dispose("destroy"), vm.dispose("destroy")]);
  await vm.dispose("sleep");
  expect(await waiting).toEqual([137, expect.any(Number)]);
  expect(events.filter(({ name }) => name === "vmShutdown")).toEqual([
    { name: "vmShutdown", payload: { reason: "destroy" } },
  ]);
  expect(events.find(({ name }) => name === "processExit")).toMatchObject({
    payload: { reason: "vm_stopped" },
  });
  // The process table answers after the end.
  expect((await vm.listProcesses())[0]).toMatchObject({ pid, running: false, reason: "vm_stopped" });
});

test("a VM that was never used has nothing to dispose", async () => {
  const { vm, events } = startVm();
  await vm.dispose("destroy");
  expect(events).toEqual([]);
});
