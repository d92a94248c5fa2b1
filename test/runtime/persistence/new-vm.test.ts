import { expect, test } from "vitest";
import { Archive } from "../../../src/runtime/persistence/archive.ts";
import { keyOf, partOf, prefixOf } from "../../../src/runtime/store/keys.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";

/** Notes the requests to a store. */
function noted(store: MemoryStore): string[] {
  const requests: string[] = [];
  for (const name of ["get", "put", "delete", "deleteRange", "list"] as const) {
    const request = store[name].bind(store) as (...args: unknown[]) => unknown;
    const note = (...args: unknown[]) => {
      requests.push(`${name} ${args[0]}`);
      return request(...args);
    };
    Object.assign(store, { [name]: note });
  }
  return requests;
}

test("the files of a new VM take two requests to its store", async () => {
  const store = new MemoryStore();
  const requests = noted(store);
  const archive = await Archive.open(store);
  expect(requests).toEqual(["get fs/head", "list fs/"]);
  expect([archive.isNew, archive.hasCheckpoint]).toEqual([true, false]);
});

test("a VM whose first checkpoint broke off is not new, and its records are deleted", async () => {
  const store = new MemoryStore();
  await store.put([[partOf("pack", 0, 0), new Uint8Array(1)]]);
  await store.put([[partOf("journal", 0, 0), new Uint8Array(1)]]);
  expect((await Archive.open(store)).isNew).toBe(false);
  expect(await store.list(prefixOf("pack"))).toEqual([]);
  expect((await store.list(prefixOf("journal"))).map(([key]) => key)).toEqual([
    `${keyOf("journal", 0)}/0000`,
  ]);
});
