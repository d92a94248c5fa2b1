import { expect, test } from "vitest";
import { sortByName, sortNames } from "../../src/base/sort.ts";
import { testRows } from "../support/rows.ts";

testRows([[0], [1], [2], [4096], [4097], [30_000]], 5)("sorts %i strings by code unit", async (count) => {
  const names = Array.from(
    { length: count },
    (_, index) => `${(index * 7919) % 10_007}-\u{1f600}\uffee${index % 3}`,
  );
  expect(await sortNames(names)).toEqual([...names].sort());
});

test("yields to the event loop while it sorts", { tags: ["slow"] }, async () => {
  const names = Array.from({ length: 300_000 }, (_, index) => String((index * 7919) % 300_007));
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const sorted = await sortNames(names);
  clearInterval(timer);
  expect(sorted).toEqual([...names].sort());
  expect(turns).toBeGreaterThan(1);
});

test("sorts entries by their names", async () => {
  const entries = ["b", "a", "Z"].map((name, size) => ({ name, size }));
  expect(await sortByName(entries)).toEqual([
    { name: "Z", size: 2 },
    { name: "a", size: 1 },
    { name: "b", size: 0 },
  ]);
});
