import { expect, test } from "vitest";
import { FairPool, type Keeper } from "../../src/base/fair-pool.ts";

/** A keeper that loses the oldest of its pieces first. */
function keeperOf(pool: FairPool) {
  const pieces: number[] = [];
  const keeper: Keeper & { push(bytes: number): void; clear(): void } = {
    get bytes() {
      return pieces.reduce((sum, bytes) => sum + bytes, 0);
    },
    push(bytes) {
      pieces.push(bytes);
      pool.changed(keeper, bytes);
    },
    shrinkTo(bytes) {
      while (keeper.bytes > bytes) pool.changed(keeper, -pieces.shift()!);
    },
    clear: () => keeper.shrinkTo(0),
  };
  return keeper;
}

test("the keepers with the most lose bytes, and a keeper below its share loses nothing", () => {
  const pool = new FairPool(960);
  const [witness, large, larger] = [0, 1, 2].map(() => keeperOf(pool)) as [
    ReturnType<typeof keeperOf>,
    ReturnType<typeof keeperOf>,
    ReturnType<typeof keeperOf>,
  ];
  witness.push(100);
  for (let piece = 0; piece < 40; piece++) large.push(10);
  for (let piece = 0; piece < 46; piece++) larger.push(10);
  expect([witness, large, larger].map(({ bytes }) => bytes)).toEqual([100, 400, 460]);
  larger.push(10);
  // 930 stay: 100 of the witness, and as much as possible of both others.
  expect([witness, large, larger].map(({ bytes }) => bytes)).toEqual([100, 400, 430]);
  for (let piece = 0; piece < 10; piece++) witness.push(10);
  expect([witness, large, larger].map(({ bytes }) => bytes)).toEqual([200, 370, 370]);
  expect(pool.bytes).toBe(940);
});

test("a keeper gives its bytes back", () => {
  const pool = new FairPool(100);
  const [one, other] = [keeperOf(pool), keeperOf(pool)];
  one.push(90);
  one.clear();
  expect(pool.bytes).toBe(0);
  other.push(95);
  expect([one.bytes, other.bytes]).toEqual([0, 95]);
});
