// @module-tag any-user
import { expect, test } from "vitest";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { faultyStore } from "../../support/faulty-store.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

const ends = (machine: { events: { name: string; payload: unknown }[] }) =>
  machine.events.filter(({ name }) => name === "vmShutdown").map(({ payload }) => payload);

test("sleep stores the files and ends every process, and the next call boots again", async () => {
  const durable = durableVm();
  const vm = durable.vm();
  await vm.exec("echo kept > /workspace/kept");
  const { pid } = await vm.spawn("sleep", ["1000"]);
  const running = vm.exec("sleep 1000");
  await expect
    .poll(async () => (await vm.allProcesses()).filter(({ command }) => command === "sleep"))
    .toHaveLength(2);
  await vm.sleep();
  expect(vm.state()).toBe("sleeping");
  expect(ends(durable.test())).toEqual([{ reason: "sleep" }]);
  expect(await vm.waitProcess(pid)).toBe(137);
  expect((await running).reason).toBe("vm_stopped");
  // A VM that sleeps already stays asleep.
  await vm.sleep();
  expect(ends(durable.test())).toHaveLength(1);
  expect((await vm.exec("cat /workspace/kept")).stdout).toBe("kept\n");
  expect(vm.state()).toBe("awake");
});

test("restart boots again with the same files", async () => {
  const durable = durableVm();
  const vm = durable.vm();
  const { shellId } = await vm.openShell();
  await vm.exec("echo kept > /workspace/kept; setsid sleep 1000 > /dev/null 2>&1 &");
  await vm.restart();
  expect(vm.state()).toBe("awake");
  expect((await vm.listShells()).find((shell) => shell.shellId === shellId)?.running).toBe(false);
  expect((await vm.allProcesses()).map(({ command }) => command)).not.toContain("sleep");
  expect((await vm.exec("cat /workspace/kept")).stdout).toBe("kept\n");
});

test("a VM whose files cannot be stored does not sleep", async () => {
  let isFull = false;
  const store = faultyStore(new MemoryStore(), (_call, method) =>
    isFull && method === "put" ? "error" : "none",
  );
  const durable = durableVm({}, store);
  const vm = durable.vm();
  await vm.exec("echo kept > /workspace/kept");
  isFull = true;
  expect(await failure(vm.sleep())).toMatchObject({ code: "storage_failed" });
  expect(await failure(vm.restart())).toMatchObject({ code: "storage_failed" });
  expect(vm.state()).toBe("awake");
  isFull = false;
  await vm.sleep();
  expect((await vm.exec("cat /workspace/kept")).stdout).toBe("kept\n");
});

test("a VM without storage does not sleep, because it would lose its files", async () => {
  const { vm } = startVm();
  await vm.exec("true");
  expect(await failure(vm.sleep())).toMatchObject({ code: "no_storage" });
  expect(vm.state()).toBe("awake");
});
