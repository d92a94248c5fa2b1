import { expect, test } from "vitest";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { startVm } from "../../support/vm.ts";

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

test("ends a VM whose storage another instance has taken over, and keeps the files of the newer one", async () => {
  const store = new MemoryStore();
  const start = () => startVm({ runtime: "memory" }, undefined, { store, isStoreShared: true });
  const older = start();
  await older.vm.writeFile("/workspace/shared", "older");
  await older.vm.checkpoint();
  await older.vm.writeFile("/workspace/journal", "older");

  const newer = start();
  expect(text(await newer.vm.readFile("/workspace/journal"))).toBe("older");
  await newer.vm.writeFile("/workspace/shared", "newer");
  await expect(older.vm.writeFile("/workspace/shared", "late")).rejects.toMatchObject({ code: "vm_stopped" });
  await expect(older.vm.checkpoint()).rejects.toMatchObject({ code: "vm_stopped" });
  expect(await older.event("vmShutdown")).toEqual({ reason: "error" });
  await newer.vm.checkpoint();
  await newer.vm.writeFile("/workspace/journal", "newer");
  await newer.vm.writeFile("/workspace/more", "newer");

  const last = start();
  for (const name of ["shared", "journal", "more"])
    expect(text(await last.vm.readFile(`/workspace/${name}`))).toBe("newer");
});

test("stores nothing under the numbers of an instance that may still write", async () => {
  const store = new MemoryStore();
  const start = () => startVm({ runtime: "memory" }, undefined, { store, isStoreShared: true });
  const older = start();
  await older.vm.writeFile("/workspace/a", "older");
  await older.vm.checkpoint();
  const keys = async () => (await store.list("fs/")).map(([key]) => key).filter((key) => /\d/.test(key));
  const before = await keys();
  const newer = start();
  await newer.vm.writeFile("/workspace/a", "newer");
  await newer.vm.checkpoint();
  await newer.vm.writeFile("/workspace/b", "newer");
  const made = (await keys()).filter((key) => !before.includes(key));
  expect(made.length).toBeGreaterThan(0);
  for (const key of made) expect(Number(key.split("/")[2])).toBeGreaterThanOrEqual(100_000);
  // A VM that ended with everything stored leaves no gap.
  await newer.vm.dispose("sleep");
  const last = start();
  await last.vm.writeFile("/workspace/a", "last");
  await last.vm.checkpoint();
  expect((await keys()).every((key) => Number(key.split("/")[2]) < 200_000)).toBe(true);
});
