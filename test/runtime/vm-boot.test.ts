// @module-tag any-user
import { expect, test } from "vitest";
import { vmOptionsSchema } from "../../src/runtime/options.ts";
import { createSandboxFactory } from "../../src/runtime/sandbox/factory.ts";
import type { SandboxFactory } from "../../src/runtime/sandbox/sandbox.ts";
import { assembleVm } from "../../src/runtime/vm.ts";
import { openShared } from "../../src/runtime/vm-shared.ts";
import { hostInit } from "../support/host-init.ts";
import { startVm } from "../support/vm.ts";

test("boots with the first call, and a hundred callers boot it once", async () => {
  const { vm, events } = startVm();
  expect(events).toEqual([]);
  const results = await Promise.all(
    Array.from({ length: 100 }, () => vm.exec("cat /proc/sys/kernel/random/boot_id /proc/1/stat")),
  );
  expect(events.filter(({ name }) => name === "vmBooted").length).toBe(1);
  expect(new Set(results.map(({ stdout }) => stdout.split("\n")[0])).size).toBe(1);
});

test("a failed boot is a coded error, and the next call tries again", async () => {
  const options = vmOptionsSchema.parse({});
  const kernel = createSandboxFactory(options);
  let failures = 1;
  const flaky: SandboxFactory = {
    ...kernel,
    boot: (signal) =>
      failures-- > 0
        ? createSandboxFactory(vmOptionsSchema.parse({ software: ["/no/such/folder"] })).boot(signal)
        : kernel.boot(signal),
  };
  const vm = assembleVm(openShared(options, { sandboxFactory: flaky }), {
    emit: () => undefined,
    keepAwake: () => undefined,
  });
  try {
    await expect(vm.exec("true")).rejects.toMatchObject({ code: "boot_failed" });
    expect((await vm.exec("echo up")).stdout).toBe("up\n");
  } finally {
    await vm.dispose("destroy");
  }
});

test("a boot that is cut short by dispose leaves nothing", async () => {
  const { vm, events } = startVm();
  const booting = vm.exec("true");
  const disposed = vm.dispose("destroy");
  await expect(booting).rejects.toMatchObject({ code: "vm_stopped" });
  await disposed;
  expect(events.filter(({ name }) => name !== "vmBooted" && name !== "vmShutdown")).toEqual([]);
  await expect(vm.exec("true")).rejects.toMatchObject({ code: "vm_stopped" });
});

test("a VM whose init is gone is reported, and the next call boots another", async () => {
  const { vm, event } = startVm();
  await vm.exec("true");
  const { pid } = await vm.spawn("sleep", ["1000"]);
  const init = await hostInit(vm);
  process.kill(init, "SIGKILL");
  expect(await event("vmShutdown")).toEqual({ reason: "error" });
  expect(await vm.waitProcess(pid)).toBe(137);
  expect((await vm.exec("echo again")).stdout).toBe("again\n");
});
