import { expect, test } from "vitest";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { startVm } from "../../support/vm.ts";

/** A VM whose store keeps the first record of a watch waiting until `go`. */
function slowlyStoringVm() {
  const store = new MemoryStore();
  const asked = Promise.withResolvers<void>();
  const { promise: gone, resolve: go } = Promise.withResolvers<void>();
  const put = store.put.bind(store);
  store.put = async (entries) => {
    if (entries.some(([key]) => key.startsWith("watch/"))) {
      asked.resolve();
      await gone;
    }
    await put(entries);
  };
  return { ...startVm({}, undefined, { store }), store, asked: asked.promise, go };
}

test("a watch that is stored while the VM restarts reports changes", async () => {
  const { vm, event, asked, go } = slowlyStoringVm();
  await vm.mkdir("/workspace/here");
  const watching = vm.watchFiles("/workspace/here");
  await asked;
  await vm.restart();
  await vm.exec("true");
  go();
  const id = await watching;
  await event("fileChanged", ({ watchId, type }) => watchId === id && type === "overflow");
  await vm.writeFile("/workspace/here/new", "1");
  await event("fileChanged", ({ watchId, path }) => watchId === id && path === "/workspace/here/new");
});

test("a watch that ends while it is stored is not kept", async () => {
  const { vm, event, store, asked, go } = slowlyStoringVm();
  await vm.mkdir("/workspace/here/inner", { recursive: true });
  const watching = vm.watchFiles("/workspace/here/inner");
  await asked;
  await vm.delete("/workspace/here", { recursive: true });
  await event("fileChanged", ({ type }) => type === "ended");
  go();
  await watching;
  expect(await vm.listWatches()).toEqual([]);
  expect(await store.list("watch/")).toEqual([]);
});
