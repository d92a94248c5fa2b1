import { expect, test } from "vitest";
import { updatesOf } from "../../../src/adapters/ai-sdk/updates.ts";
import { failure } from "../../support/until.ts";

async function all(updates: AsyncIterable<number>): Promise<number[]> {
  const seen: number[] = [];
  for await (const update of updates) seen.push(update);
  return seen;
}

test("updates that the reader has no time for replace each other, and the result comes last", async () => {
  const work = async (onUpdate: (value: number) => void) => {
    for (const value of [1, 2, 3]) onUpdate(value);
    await new Promise(setImmediate);
    onUpdate(4);
    return 5;
  };
  expect(await all(updatesOf(work))).toEqual([3, 5]);
});

test("work without updates yields its result", async () => {
  expect(await all(updatesOf(async () => 1))).toEqual([1]);
});

test("the error of the work ends the iteration", async () => {
  const reason = new Error("broken");
  const broken = updatesOf<number>(async (onUpdate) => {
    onUpdate(1);
    throw reason;
  });
  expect(await failure(all(broken))).toBe(reason);
});
