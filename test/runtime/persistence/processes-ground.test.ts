// @module-tag any-user
import { describe, expect, test } from "vitest";
import { OWNER_KEY } from "../../../src/runtime/store/keys.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { faultyStore } from "../../support/faulty-store.ts";
import { failure } from "../../support/until.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe("a file method on files of processes is durable when it resolves", () => {
  test("moves a file that a process has made", async () => {
    const machine = durableVm();
    await machine.vm().exec("echo own > /workspace/own");
    await machine.vm().move("/workspace/own", "/workspace/moved");
    await machine.crash();
    expect(await machine.vm().readdir("/workspace")).toEqual(["moved"]);
    expect(text(await machine.vm().readFile("/workspace/moved"))).toBe("own\n");
  });

  test("moves a directory that a process has filled, while another process runs", async () => {
    const machine = durableVm();
    await machine.vm().checkpoint();
    await machine.vm().spawn("sleep", ["1000"]);
    await machine.vm().exec("mkdir /workspace/d; echo own > /workspace/d/own");
    await machine.vm().move("/workspace/d", "/workspace/e");
    await machine.crash();
    expect(await machine.vm().readdir("/workspace/e")).toEqual(["own"]);
  });

  test("makes a directory in a directory that a process has made", async () => {
    const machine = durableVm();
    await machine.vm().checkpoint();
    await machine.vm().exec("mkdir /workspace/d");
    await machine.vm().mkdir("/workspace/d/e");
    await machine.crash();
    expect(await machine.vm().readdir("/workspace/d")).toEqual(["e"]);
  });

  test("deletes a directory that a process has emptied", async () => {
    const machine = durableVm();
    await machine.vm().writeFile("/workspace/d/f", "text");
    await machine.vm().checkpoint();
    await machine.vm().exec("rm /workspace/d/f");
    await machine.vm().delete("/workspace/d");
    await machine.crash();
    expect(await machine.vm().exists("/workspace/d")).toBe(false);
  });
});

test("a change that depends on an unstored change is not acknowledged before that change is stored", async () => {
  const inner = new MemoryStore();
  const scanned = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let refused: (key: string) => boolean = () => false;
  const machine = durableVm(
    { runtime: "memory" },
    {
      get: (keys) => inner.get(keys),
      delete: (keys) => inner.delete(keys),
      deleteRange: (from, to) => inner.deleteRange(from, to),
      list: (prefix, options) => inner.list(prefix, options),
      async put(entries) {
        const [key] = entries[0] ?? [""];
        if (key !== OWNER_KEY && refused(key)) throw new Error("put failed");
        if (key.startsWith("fs/page/")) scanned.resolve();
        if (key.startsWith("fs/page/")) await goOn.promise;
        await inner.put(entries);
        // The checkpoint under way is the last successful one.
        if (key === "fs/head") refused = () => true;
      },
    },
  );
  await machine.vm().writeFile("/workspace/a", "text");
  const checkpoint = machine.vm().checkpoint();
  await scanned.promise;
  refused = (key) => key.startsWith("fs/journal/");
  const making = failure(machine.vm().mkdir("/workspace/d"));
  goOn.resolve();
  await checkpoint;
  expect(await making).toMatchObject({ code: "storage_failed" });
  refused = () => false;
  await machine.vm().move("/workspace/d", "/workspace/e");
  await machine.crash();
  expect(await machine.vm().readdir("/workspace")).toEqual(["a", "e"]);
});

test("a failed restoreSnapshot loses no files of processes", async () => {
  let failing = Number.POSITIVE_INFINITY;
  const store = faultyStore(new MemoryStore(), (call) => (call === failing ? "error" : "none"));
  const machine = durableVm({}, store);
  const { id } = await machine.vm().createSnapshot();
  await machine.vm().exec("echo own > /workspace/own");
  failing = store.calls;
  expect(await failure(machine.vm().restoreSnapshot(id))).toMatchObject({ code: "storage_failed" });
  expect(text(await machine.vm().readFile("/workspace/own"))).toBe("own\n");
  await machine.vm().restoreSnapshot(id);
  expect(await machine.vm().exists("/workspace/own")).toBe(false);
});
