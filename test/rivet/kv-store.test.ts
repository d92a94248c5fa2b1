import { actor } from "rivetkit";
import { createClient } from "rivetkit/client";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { listen, type RunningServer } from "../../src/http/listen.ts";
import { setup } from "../../src/http/setup.ts";
import { KvDatabase } from "../../src/rivet/kv-database.ts";
import { type ActorKv, kvStore } from "../../src/rivet/kv-store.ts";
import { LAZY, MAX_STORE_VALUE_BYTES, MemoryStore, type Store } from "../../src/runtime/store/store.ts";
import { freePort } from "../support/free-port.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";

const dataDir = temporaryFolder();
let server: RunningServer;
let kv: ActorKv;

/** An actor that hands out its storage. */
const holder = actor({
  actions: {
    open: (c) => {
      kv = c.kv;
    },
  },
});

beforeAll(async () => {
  const registry = setup({ use: { holder }, port: await freePort(), dataDir });
  server = await listen(registry);
  const client = createClient<typeof registry>({ endpoint: server.endpoint, disableMetadataLookup: true });
  await client.holder.getOrCreate("one").open();
  await client.dispose();
});
afterAll(() => server.close());

const bytes = (text: string) => new TextEncoder().encode(text);
const texts = (entries: [string, Uint8Array][]) =>
  entries.map(([key, value]) => [key, new TextDecoder().decode(value)]);

describe.each<[string, () => Store]>([
  ["RivetKit's storage", () => kvStore(kv)],
  [
    "RivetKit's storage with the method names of 2.3",
    () => {
      const { getBatch, putBatch, deleteBatch } = kv;
      return kvStore({
        deleteRange: kv.deleteRange.bind(kv),
        listRange: kv.listRange.bind(kv),
        batchGet: getBatch!.bind(kv),
        batchPut: putBatch!.bind(kv),
        batchDelete: deleteBatch!.bind(kv),
      });
    },
  ],
  ["memory", () => new MemoryStore()],
])("%s", (_name, open) => {
  test("returns the stored value of a key, and `undefined` for any other key", async () => {
    const store = open();
    await store.put([
      ["a/1", bytes("one")],
      ["a/2", new Uint8Array([0, 255, 128])],
    ]);
    const [one, missing, two] = await store.get(["a/1", "a/x", "a/2"]);
    expect(new TextDecoder().decode(one)).toBe("one");
    expect(missing).toBeUndefined();
    expect([...(two ?? [])]).toEqual([0, 255, 128]);
    await store.delete(["a/1", "a/2", "a/x"]);
    expect(await store.get(["a/1", "a/2"])).toEqual([undefined, undefined]);
  });

  test("lists by prefix, in order, after a key", async () => {
    const store = open();
    await store.put(["b/2", "b/10", "b/1", "c/1", "b"].map((key) => [key, bytes(key)]));
    expect(texts(await store.list("b/"))).toEqual([
      ["b/1", "b/1"],
      ["b/10", "b/10"],
      ["b/2", "b/2"],
    ]);
    expect(texts(await store.list("b/", { after: "b/1", limit: 1 }))).toEqual([["b/10", "b/10"]]);
    await store.deleteRange("b/1", "b/2");
    expect(texts(await store.list("b"))).toEqual([
      ["b", "b"],
      ["b/2", "b/2"],
    ]);
  });

  test("accepts any number of keys and the largest value, and refuses a batch that is too large", async () => {
    const store = open();
    const keys = Array.from({ length: 300 }, (_, index) => `d/${index}`);
    for (let start = 0; start < 300; start += 100) {
      await store.put(keys.slice(start, start + 100).map((key) => [key, bytes(key)]));
    }
    expect(await store.get(keys)).toHaveLength(300);
    await store.delete(keys);
    expect(await store.list("d/")).toEqual([]);
    const largest = new Uint8Array(MAX_STORE_VALUE_BYTES).fill(7);
    await store.put(Array.from({ length: 7 }, (_, index) => [`e/${index}`, largest]));
    expect((await store.get(["e/6"]))[0]).toEqual(largest);
    expect(await failure(store.put(keys.map((key) => [key, bytes(key)])))).toBeInstanceOf(RangeError);
    expect(await failure(store.put([["f", new Uint8Array(MAX_STORE_VALUE_BYTES + 1)]]))).toBeInstanceOf(
      RangeError,
    );
    expect(await store.get(["f", "d/0"])).toEqual([undefined, undefined]);
  });
});

test("a lazy change of the store is lazy in the database, and every other change is not", async () => {
  const store = kvStore(kv);
  const [put, deleteRange] = [
    vi.spyOn(KvDatabase.prototype, "put"),
    vi.spyOn(KvDatabase.prototype, "deleteRange"),
  ];
  await store.put([["lazy/1", bytes("one")]], LAZY);
  await store.put([["lazy/2", bytes("two")]]);
  await store.deleteRange("lazy/1", "lazy/2", LAZY);
  await store.deleteRange("lazy/2", "lazy/3");
  // Actors of other files may still work in this process.
  const isOwn = (key: Uint8Array | undefined) => key !== undefined && Buffer.from(key).includes("lazy/");
  const puts = put.mock.calls.filter(([[entry]]) => isOwn(entry?.[0]));
  expect(puts.map(([, options]) => options?.isLazy ?? false)).toEqual([true, false]);
  const deletions = deleteRange.mock.calls.filter(([start]) => isOwn(start));
  expect(deletions.map(([, , options]) => options?.isLazy ?? false)).toEqual([true, false]);
  expect(await store.list("lazy/")).toEqual([]);
  vi.restoreAllMocks();
});
