import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { KvDatabase } from "../../../src/rivet/kv-database.ts";
import { createKvDatabase } from "../../../src/rivet/kv-schema.ts";
import { type ActorKv, kvStore } from "../../../src/rivet/kv-store.ts";
import { readTogether } from "../../../src/runtime/store/read-together.ts";
import type { Store } from "../../../src/runtime/store/store.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { failure } from "../../support/until.ts";

const folder = temporaryFolder();
const bytes = (text: string) => new TextEncoder().encode(text);
let database: KvDatabase;
let count = 0;

afterEach(() => database.close());

/** Opens a store in a SQLite file, which counts its readings. */
async function open(): Promise<{ store: Store; asked: string[][]; fail(): void }> {
  count += 1;
  const path = join(folder, `${count}.db`);
  await createKvDatabase(path);
  database = await KvDatabase.open(path);
  const asked: string[][] = [];
  let isFailing = false;
  const kv: ActorKv = {
    async getBatch(keys) {
      asked.push(keys);
      if (isFailing) {
        isFailing = false;
        throw new Error("the disk is gone");
      }
      return database.get(keys.map(bytes));
    },
    putBatch: (entries) => database.put(entries.map(([key, value]) => [bytes(key), value])),
    deleteBatch: (keys) => database.delete(keys.map(bytes)),
    deleteRange: (from, to) => database.deleteRange(bytes(from), bytes(to)),
    listRange: async () => [],
  };
  return {
    store: kvStore(kv),
    asked,
    fail: () => {
      isFailing = true;
    },
  };
}

const texts = (values: (Uint8Array | undefined)[]) =>
  values.map((value) => value && new TextDecoder().decode(value));

const KEYS = ["a", "b", "c"];

test("reads all keys with the first reading of one of them, and each value only once", async () => {
  const { store, asked } = await open();
  await store.put([
    ["a", bytes("1")],
    ["b", bytes("2")],
    ["x", bytes("3")],
  ]);
  const together = readTogether(store, KEYS);
  expect(texts(await together.get(["x"]))).toEqual(["3"]);
  expect(texts(await together.get(["b"]))).toEqual(["2"]);
  const others = await Promise.all([together.get(["c"]), together.get(["a"])]);
  expect(others.map(texts)).toEqual([[undefined], ["1"]]);
  expect(asked).toEqual([["x"], KEYS]);
  expect(texts(await together.get(["b"]))).toEqual(["2"]);
  expect(asked).toEqual([["x"], KEYS, ["b"]]);
});

test("asks by itself for keys of which only some are read together", async () => {
  const { store, asked } = await open();
  await store.put([["a", bytes("1")]]);
  const together = readTogether(store, KEYS);
  await together.get(["b"]);
  expect(texts(await together.get(["a", "x"]))).toEqual(["1", undefined]);
  expect(asked).toEqual([KEYS, ["a", "x"]]);
});

test.each<[string, (store: Store) => Promise<void>, string | undefined]>([
  ["put", (store) => store.put([["a", bytes("new")]]), "new"],
  ["deletion", (store) => store.delete(["a"]), undefined],
  ["deletion of a range", (store) => store.deleteRange("a", "b"), undefined],
])("a %s after the reading counts, and leaves the other values", async (_name, change, value) => {
  const { store, asked } = await open();
  await store.put([
    ["a", bytes("old")],
    ["b", bytes("2")],
  ]);
  const together = readTogether(store, KEYS);
  await together.get(["c"]);
  await change(together);
  expect(texts(await together.get(["a"]))).toEqual([value]);
  expect(texts(await together.get(["b"]))).toEqual(["2"]);
  expect(asked).toEqual([KEYS, ["a"]]);
});

test("a change that is on its way counts for a reading after it", async () => {
  const { store } = await open();
  await store.put([["a", bytes("old")]]);
  const together = readTogether(store, KEYS);
  const reading = together.get(["b"]);
  const put = together.put([["a", bytes("new")]]);
  await Promise.all([reading, put]);
  expect(texts(await together.get(["a"]))).toEqual(["new"]);
});

test("a change that began before the first reading counts for a reading after it", async () => {
  const { store } = await open();
  await store.put([["a", bytes("old")]]);
  const together = readTogether(store, KEYS);
  const put = together.put([["a", bytes("new")]]);
  await together.get(["b"]);
  await put;
  expect(texts(await together.get(["a"]))).toEqual(["new"]);
});

test("reads again after a failure", async () => {
  const { store, fail } = await open();
  await store.put([["a", bytes("1")]]);
  const together = readTogether(store, KEYS);
  fail();
  expect((await failure(together.get(["a"]))).message).toBe("the disk is gone");
  expect(texts(await together.get(["a"]))).toEqual(["1"]);
});
