import { expect, test } from "vitest";
import { collectGarbage, NO_GARBAGE, noteGarbage } from "../../../src/runtime/persistence/garbage.ts";
import { keyOf, prefixOf } from "../../../src/runtime/store/keys.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";

test("deletes packs whose numbers follow each other in pieces, and no others", async () => {
  const store = new MemoryStore();
  const packs = Array.from({ length: 100 }, (_, index) => index + 7);
  for (const pack of [6, ...packs, 107]) await store.put([[`${keyOf("pack", pack)}/0`, new Uint8Array(1)]]);
  await noteGarbage(store, 1, { ...NO_GARBAGE, packs });
  let left = 102;
  const deleteRange = store.deleteRange.bind(store);
  store.deleteRange = async (from, to) => {
    await deleteRange(from, to);
    const now = (await store.list(prefixOf("pack"))).length;
    expect(left - now).toBeLessThanOrEqual(32);
    left = now;
  };
  await collectGarbage(store, 1);
  expect((await store.list(prefixOf("pack"))).map(([key]) => key)).toEqual(
    [6, 107].map((pack) => `${keyOf("pack", pack)}/0`),
  );
});
