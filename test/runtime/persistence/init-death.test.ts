import { expect, test } from "vitest";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { faultyStore } from "../../support/faulty-store.ts";
import { hostInit } from "../../support/host-init.ts";
import { until } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("a VM whose init dies boots again with all written files, even on slow storage", {
  tags: ["slow"],
}, async () => {
  let isSlow = false;
  const store = faultyStore(new MemoryStore(), () => (isSlow ? "slow" : "none"), 60);
  const { vm, event } = startVm({}, undefined, { store });
  await vm.exec("echo own > /workspace/own");
  isSlow = true;
  process.kill(await hostInit(vm), "SIGKILL");
  await event("vmShutdown");
  expect(text(await vm.readFile("/workspace/own"))).toBe("own\n");
  await vm.writeFile("/workspace/after", "after");
  await vm.dispose("sleep");
  const next = durableVm({}, store).vm();
  expect(await next.readdir("/workspace")).toEqual(["after", "own"]);
});

test("a VM whose init dies while its storage fails reports the failure and boots again", async () => {
  let failing = false;
  const store = faultyStore(new MemoryStore(), () => (failing ? "error" : "none"));
  const failures: unknown[] = [];
  const { vm, event } = startVm({}, undefined, {
    store,
    onFailure: (error) => void failures.push(error),
  });
  await vm.writeFile("/workspace/kept", "kept");
  await vm.exec("echo own > /workspace/own");
  failing = true;
  process.kill(await hostInit(vm), "SIGKILL");
  await event("vmShutdown");
  await until(() => failures.length > 0);
  expect(failures).toMatchObject([{ code: "storage_failed" }]);
  failing = false;
  expect(text(await vm.readFile("/workspace/kept"))).toBe("kept");
});
