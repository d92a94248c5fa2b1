import { expect, test } from "vitest";
import { HEAD_KEY } from "../../../src/runtime/store/keys.ts";
import { findsRival, ownedStore } from "../../../src/runtime/store/owned-store.ts";
import { MemoryStore, type Store } from "../../../src/runtime/store/store.ts";

const value = (text: string) => Buffer.from(text);
const read = async (store: Store, key: string) => {
  const [bytes] = await store.get([key]);
  return bytes === undefined ? "nothing" : Buffer.from(bytes).toString();
};

test("refuses every put of an instance that another one has replaced, and tells it once", async () => {
  const store = new MemoryStore();
  let told = 0;
  const onReplaced = () => {
    told += 1;
  };
  const older = ownedStore(store, { isShared: true, onReplaced });
  await older.put([[HEAD_KEY, value("old")]]);
  const newer = ownedStore(store);
  expect(await read(newer, HEAD_KEY)).toBe("old");
  await newer.put([["x", value("new")]]);
  await expect(older.put([[HEAD_KEY, value("late")]])).rejects.toMatchObject({ code: "vm_stopped" });
  await expect(older.put([["x", value("late")]])).rejects.toMatchObject({ code: "vm_stopped" });
  await expect(older.deleteRange("a", "z")).rejects.toMatchObject({ code: "vm_stopped" });
  expect([await read(store, HEAD_KEY), await read(store, "x"), told]).toEqual(["old", "new", 1]);
});

test("commits nothing of a replaced instance to a store that is not shared", async () => {
  const store = new MemoryStore();
  const older = ownedStore(store);
  await older.put([[HEAD_KEY, value("old")]]);
  await ownedStore(store).get([]);
  await expect(older.put([[HEAD_KEY, value("late")]])).rejects.toMatchObject({ code: "vm_stopped" });
  await expect(older.put([["x", value("late")]])).rejects.toMatchObject({ code: "vm_stopped" });
  expect([await read(store, HEAD_KEY), await read(store, "x")]).toEqual(["old", "nothing"]);
});

test("reports no put as stored that arrives after another instance has begun", async () => {
  const store = new MemoryStore();
  const { promise: paused, resolve: pause } = Promise.withResolvers<void>();
  const { promise: resumed, resolve: resume } = Promise.withResolvers<void>();
  const late: Store = Object.assign(Object.create(store) as Store, {
    get: (keys: string[]) => store.get(keys),
    put: async (entries: [string, Uint8Array][]) => {
      if (entries[0]?.[0] === "x") {
        pause();
        await resumed;
      }
      await store.put(entries);
    },
  });
  const older = ownedStore(late, { isShared: true });
  const put = older.put([["x", value("late")]]);
  await paused;
  await ownedStore(store).get([]);
  resume();
  await expect(put).rejects.toMatchObject({ code: "vm_stopped" });
});

test("reports no commit that another instance's mark has overtaken, also in a store of one server", async () => {
  const store = new MemoryStore();
  const overtaken: Store = Object.assign(Object.create(store) as Store, {
    get: (keys: string[]) => store.get(keys),
    put: async (entries: [string, Uint8Array][]) => {
      if (entries[0]?.[0] === HEAD_KEY) await ownedStore(store).get([]);
      await store.put(entries);
    },
  });
  const older = ownedStore(overtaken);
  await expect(older.put([[HEAD_KEY, value("late")]])).rejects.toMatchObject({ code: "vm_stopped" });
  // The newer instance may need what the older one would delete as garbage now.
  await expect(older.deleteRange("fs/", "fs0")).rejects.toMatchObject({ code: "vm_stopped" });
});

test("finds a rival only after an instance that has not released the store", async () => {
  const store = new MemoryStore();
  const first = ownedStore(store);
  await first.put([["x", value("1")]]);
  expect(await findsRival(store)).toBe(false);
  await first.release();
  const second = ownedStore(store);
  await second.get([]);
  expect(await findsRival(store)).toBe(false);
  const third = ownedStore(store);
  await third.get([]);
  expect(await findsRival(store)).toBe(true);
  // Before a commit the third instance uses no numbers of its own, so the rival stays.
  await third.release();
  const fourth = ownedStore(store);
  await fourth.put([[HEAD_KEY, value("4")]]);
  expect(await findsRival(store)).toBe(true);
  await fourth.release();
  await ownedStore(store).get([]);
  expect(await findsRival(store)).toBe(false);
});

test("leaves a store without an access as it is", async () => {
  const store = new MemoryStore();
  await ownedStore(store).release();
  expect(await store.list("")).toEqual([]);
});
