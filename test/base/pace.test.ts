import { beforeEach, expect, test } from "vitest";
import { pause, visitAll } from "../../src/base/pace.ts";
import { countPerTurn, freshSlice, work } from "../support/turns.ts";

beforeEach(freshSlice);

test("the event loop turns after each slice, even while much work waits", async () => {
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

test("paused work resumes in order of arrival", async () => {
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
