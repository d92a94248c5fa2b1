import { expect, test } from "vitest";
import { BytePool, ByteShare } from "../../src/base/byte-share.ts";

test("a share has a limit, a part of its own, and what the pool has left", () => {
  const pool = new BytePool(100);
  const limits = { most: 80, small: 10, pool };
  const [one, two] = [new ByteShare(limits), new ByteShare(limits)];
  expect(one.take(81)).toBe(false);
  expect(one.take(80)).toBe(true);
  expect(pool.bytes).toBe(70);
  // Its own 10, and 30 that the pool has left.
  expect(two.take(41)).toBe(false);
  expect(two.take(40)).toBe(true);
  expect(new ByteShare(limits).take(10)).toBe(true);
  expect(new ByteShare(limits).take(11)).toBe(false);
  one.give(80);
  expect(pool.bytes).toBe(30);
  expect(two.take(40)).toBe(true);
  two.give(80);
  expect([one.bytes, two.bytes, pool.bytes]).toEqual([0, 0, 0]);
});

test("bytes that are there already count past every limit", () => {
  const pool = new BytePool(100);
  const share = new ByteShare({ most: 80, small: 10, pool });
  share.force(200);
  expect([share.bytes, pool.bytes]).toEqual([200, 190]);
  expect(share.take(1)).toBe(false);
  share.give(200);
  expect(pool.bytes).toBe(0);
});
