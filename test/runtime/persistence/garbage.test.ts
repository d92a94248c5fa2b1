import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { collectGarbage, NO_GARBAGE, noteGarbage } from "../../../src/runtime/persistence/garbage.ts";
import { HEAD_KEY, keyOf, prefixOf } from "../../../src/runtime/store/keys.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import type { Vm } from "../../../src/runtime/vm.ts";
import { durableVm } from "../../support/durable-vm.ts";

test("deletes packs whose numbers follow each other, and no others", async () => {
  const store = new MemoryStore();
  const packs = Array.from({ length: 100 }, (_, index) => index + 7);
  for (const pack of [6, ...packs, 107]) await store.put([[`${keyOf("pack", pack)}/0`, new Uint8Array(1)]]);
  await noteGarbage(store, 1, { ...NO_GARBAGE, packs });
  await collectGarbage(store, 1);
  expect((await store.list(prefixOf("pack"))).map(([key]) => key)).toEqual(
    [6, 107].map((pack) => `${keyOf("pack", pack)}/0`),
  );
});

/** Content of several packs that does not compress. */
const content = randomBytes(1_500_000);

const hasContent = async (vm: Vm) => content.equals(await vm.readFile("/workspace/large"));

/** Keys of the records of trees. */
const records = async (store: MemoryStore) =>
  (await Promise.all((["pack", "page", "root"] as const).map((kind) => store.list(prefixOf(kind)))))
    .flat()
    .map(([key]) => key);

const FULL: Record<string, (key: string) => boolean> = {
  pack: (key) => key.startsWith(keyOf("pack", 3)),
  page: (key) => key.startsWith(prefixOf("page")),
  head: (key) => key === HEAD_KEY,
};

test.each(Object.entries(FULL))(
  "a checkpoint whose %s finds the disk full leaves no records",
  async (_, isLast) => {
    const store = new MemoryStore();
    const machine = durableVm({ runtime: "memory" }, store);
    await machine.vm().writeFile("/workspace/kept", "kept");
    await machine.vm().checkpoint();
    const before = await records(store);
    const put = store.put.bind(store);
    store.put = async (entries) => {
      if (entries.some(([key]) => isLast(key))) throw new Error("ENOSPC");
      await put(entries);
    };
    await expect(machine.vm().writeFile("/workspace/large", content)).rejects.toMatchObject({
      code: "storage_failed",
    });
    expect(await records(store)).toEqual(before);
    store.put = put;
    await machine.vm().checkpoint();
    await machine.sleep();
    expect(await hasContent(machine.vm())).toBe(true);
  },
);

test("a checkpoint whose head may count after all leaves its records", async () => {
  const store = new MemoryStore();
  const machine = durableVm({ runtime: "memory" }, store);
  await machine.vm().checkpoint();
  const get = store.get.bind(store);
  const put = store.put.bind(store);
  store.put = async (entries) => {
    if (!entries.some(([key]) => key === HEAD_KEY)) return await put(entries);
    // The change is made, and neither its answer arrives nor that of the next call.
    await put(entries);
    store.get = () => Promise.reject(new Error("lost"));
    throw new Error("lost");
  };
  await expect(machine.vm().writeFile("/workspace/large", content)).rejects.toMatchObject({
    code: "storage_failed",
  });
  store.put = put;
  store.get = get;
  await machine.crash();
  expect(await hasContent(machine.vm())).toBe(true);
});

/** Makes a VM behind an engine whose store loses a change: its call fails, and it arrives when `arrive` is called. */
async function engineLosing(isLost: (key: string) => boolean) {
  const store = new MemoryStore();
  const machine = durableVm({ runtime: "memory" }, store, { isStoreShared: true });
  await machine.vm().checkpoint();
  const put = store.put.bind(store);
  const lost: Parameters<typeof put>[0][] = [];
  store.put = async (entries) => {
    if (!entries.some(([key]) => isLost(key))) return await put(entries);
    lost.push(entries);
    throw new Error("lost");
  };
  await expect(machine.vm().writeFile("/workspace/large", content)).rejects.toMatchObject({
    code: "storage_failed",
  });
  store.put = put;
  const arrive = async () => {
    for (const entries of lost) await put(entries);
    return lost.flat().map(([key]) => key);
  };
  return { store, machine, arrive };
}

test("a checkpoint behind an engine whose head arrives late has its records", async () => {
  const { machine, arrive } = await engineLosing((key) => key === HEAD_KEY);
  await machine.crash();
  await arrive();
  expect(await hasContent(machine.vm())).toBe(true);
});

test("the next checkpoint behind an engine deletes a record that has arrived late", async () => {
  const { store, machine, arrive } = await engineLosing((key) => key.startsWith(keyOf("pack", 3)));
  const late = await arrive();
  expect(await records(store)).toEqual(expect.arrayContaining(late));
  await machine.vm().checkpoint();
  const left = await records(store);
  expect(late.filter((key) => left.includes(key))).toEqual([]);
});
