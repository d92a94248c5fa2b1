import { beforeEach, expect, test } from "vitest";
import { pause, visitAll } from "../../../src/runtime/sandbox/pace.ts";
import { countPerTurn, freshSlice, work } from "../../support/turns.ts";

beforeEach(freshSlice);

test("however many pieces of work wait, the event loop turns as soon as a slice is spent", async () => {
  const counts = await countPerTurn((done) =>
    Promise.all(
      Array.from({ length: 20 }, async () => {
        await pause();
        work();
        done();
        await pause();
        work();
        done();
      }),
    ),
  );
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(40);
  expect(Math.max(...counts.slice(1))).toBe(1);
});

test("work goes on in the order in which it came", async () => {
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      await pause();
      if (index % 7 === 0) work();
      order.push(index);
    }),
  );
  expect(order).toEqual([...order].sort((a, b) => a - b));
});

test("visitAll lets the event loop turn between items", async () => {
  const counts = await countPerTurn((done) =>
    visitAll([1, 2, 3, 4], () => {
      work();
      done();
    }),
  );
  expect(Math.max(...counts)).toBe(1);
});
