import { expect, test } from "vitest";
import type { HostVm } from "../../src/runtime/host-functions/types.ts";
import { MemoryStore } from "../../src/runtime/store/store.ts";
import { hostInit } from "../support/host-init.ts";
import { failure, until } from "../support/until.ts";
import { startVm } from "../support/vm.ts";

test("onVmStop is told once of a sandbox that has failed, and cannot boot it again", async () => {
  const told: string[] = [];
  const { vm } = startVm(
    {},
    undefined,
    {},
    {
      onVmStart: () => void told.push("start"),
      async onVmStop(host: HostVm, reason) {
        const outcome = await host.exec("true").catch((error: { code: string }) => error.code);
        told.push(`${reason} ${String(outcome)}`);
      },
    },
  );
  await vm.exec("true");
  process.kill(await hostInit(vm), "SIGKILL");
  await until(() => told.length === 2);
  expect((await vm.exec("echo up")).stdout).toBe("up\n");
  expect(told).toEqual(["start", "error vm_stopped", "start"]);
});

test("a VM ends while its onVmStart hangs, and nobody waits", async () => {
  let started = false;
  const { vm } = startVm(
    {},
    undefined,
    {},
    {
      async onVmStart() {
        started = true;
        await new Promise(() => undefined);
      },
    },
  );
  const call = failure(vm.exec("true"));
  await until(() => started);
  await vm.dispose("destroy");
  expect(await call).toMatchObject({ code: "vm_stopped" });
});

test("a VM that is put to sleep by its own onVmStart stays down until the next call", async () => {
  let naps = 1;
  const onVmStart = async (host: HostVm) => void (naps-- > 0 && (await host.sleep()));
  const { vm } = startVm({}, undefined, { store: new MemoryStore() }, { onVmStart });
  expect(await failure(vm.exec("true"))).toMatchObject({ code: "vm_stopped" });
  expect((await vm.exec("echo up")).stdout).toBe("up\n");
});
