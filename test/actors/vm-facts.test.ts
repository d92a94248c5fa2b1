import { expect, test, vi } from "vitest";
import { vmFacts } from "../../src/actors/vm-facts.ts";

const USE = { memoryBytes: 1, cpuMs: 2, diskBytes: 3, promptsRunning: 0 };

test("facts of a VM have what it uses only if they are asked for it, and the size of its files always", async () => {
  const listUse = vi.fn(async () => USE);
  const vm = {
    ...{ state: () => "awake" as const, processCount: () => 4, labels: async () => ({ tier: "pro" }) },
    ...{ listUse, fileBytes: async () => 3 },
  };
  const facts = { state: "awake", processes: 4, lastUsedAt: 5, labels: { tier: "pro" }, storedBytes: 3 };
  expect(await vmFacts(vm, { use: false, lastUsedAt: () => 5 })).toEqual(facts);
  expect(listUse).not.toHaveBeenCalled();
  expect(await vmFacts(vm, { use: true, lastUsedAt: () => 5 })).toEqual({ ...facts, use: USE });
});

test.each([
  ["does not end", () => new Promise<never>(() => undefined)],
  ["fails", () => Promise.reject(new Error("gone"))],
])("a VM whose measuring %s still says how it is", async (_, measure) => {
  const vm = {
    ...{ state: () => "awake" as const, processCount: () => 4, labels: async () => ({ tier: "pro" }) },
    ...{ listUse: measure, fileBytes: measure },
  };
  const facts = { state: "awake", processes: 4, lastUsedAt: 5, labels: { tier: "pro" } };
  for (const use of [false, true]) expect(await vmFacts(vm, { use, lastUsedAt: () => 5 })).toEqual(facts);
});
