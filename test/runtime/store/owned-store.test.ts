import { expect, test } from "vitest";
import { HEAD_KEY, OWNER_KEY } from "../../../src/runtime/store/keys.ts";
import { ownedStore } from "../../../src/runtime/store/owned-store.ts";
import { LAZY, MemoryStore, type Store } from "../../../src/runtime/store/store.ts";

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

test("knows of a rival only after an instance that has not released the store", async () => {
  const store = new MemoryStore();
  const first = ownedStore(store);
  await first.put([["x", value("1")]]);
  expect(first.hasRival).toBe(false);
  await first.release();
  const second = ownedStore(store);
  await second.get([]);
  expect(second.hasRival).toBe(false);
  const third = ownedStore(store);
  await third.get([]);
  expect(third.hasRival).toBe(true);
  // Before a commit the third instance uses no numbers of its own, so the rival stays.
  await third.release();
  const fourth = ownedStore(store);
  await fourth.get([]);
  expect(fourth.hasRival).toBe(true);
  await fourth.put([[HEAD_KEY, value("4")]]);
  // A journal that the fourth instance has not moved may still get records of the rival.
  expect(fourth.hasRival).toBe(true);
  await fourth.release();
  const fifth = ownedStore(store);
  await fifth.get([]);
  expect(fifth.hasRival).toBe(false);
});

test.each([
  [true, false],
  [false, true],
])("an instance of an earlier server that has ended (%s) leaves a rival: %s", async (isEnded, hasRival) => {
  const store = new MemoryStore();
  const mark = { id: "an earlier instance", isEnded, hasRival: false };
  await store.put([[OWNER_KEY, value(JSON.stringify(mark))]]);
  const next = ownedStore(store);
  await next.get([]);
  expect(next.hasRival).toBe(hasRival);
});

test("the end of an instance leaves the mark of an instance that has begun at the same moment", async () => {
  const store = new MemoryStore();
  const newer = ownedStore(store);
  let isEnding = false;
  const overtaken: Store = Object.assign(Object.create(store) as Store, {
    get: (keys: string[]) => store.get(keys),
    put: async (entries: [string, Uint8Array][]) => {
      if (isEnding) await newer.get([]);
      await store.put(entries);
    },
  });
  const older = ownedStore(overtaken, { isShared: true });
  await older.put([["x", value("old")]]);
  isEnding = true;
  await older.release();
  await newer.put([[HEAD_KEY, value("new")]]);
  // The newer instance is the last one, and has not ended.
  const next = ownedStore(store);
  await next.get([]);
  expect(next.hasRival).toBe(true);
});

test("reads the mark of a shared store neither for each lazy put nor for each of several changes at once", async () => {
  let reads = 0;
  class Counted extends MemoryStore {
    override get(keys: readonly string[]) {
      reads += 1;
      return super.get(keys);
    }
  }
  const owned = ownedStore(new Counted(), { isShared: true });
  await owned.get([]);
  reads = 0;
  await owned.put([["a", value("1")]], LAZY);
  await owned.put([["b", value("2")]], LAZY);
  expect(reads).toBe(0);
  await owned.put([["c", value("3")]]);
  expect(reads).toBe(1);
  // The mark is too old now.
  await new Promise((resolve) => setTimeout(resolve, 600));
  await Promise.all(["a", "b", "c"].map((from) => owned.deleteRange(from, `${from}~`)));
  expect(reads).toBe(2);
});

test("confirms that an instance may change the store, until another one has begun", async () => {
  const store = new MemoryStore();
  const older = ownedStore(store);
  await older.confirm?.();
  await ownedStore(store).get([]);
  await expect(older.confirm?.()).rejects.toMatchObject({ code: "vm_stopped" });
});

test("leaves a store without an access as it is", async () => {
  const store = new MemoryStore();
  await ownedStore(store).release();
  expect(await store.list("")).toEqual([]);
});
