import { expect, test } from "vitest";
import { joined, toBytes } from "../../src/base/bytes.ts";

test("encodes text as UTF-8 and leaves bytes alone", () => {
  const bytes = Uint8Array.of(1, 2);
  expect(toBytes(bytes)).toBe(bytes);
  expect([...toBytes("ä")]).toEqual([0xc3, 0xa4]);
});

test("joins pieces, and returns a single piece without a copy", () => {
  const one = Uint8Array.of(1, 2);
  expect(joined([one], 2)).toBe(one);
  expect([...joined([one, Uint8Array.of(), Uint8Array.of(3)], 3)]).toEqual([1, 2, 3]);
  expect(joined([], 0)).toHaveLength(0);
});

test("joins pieces that follow each other in one buffer without a copy", () => {
  const whole = Uint8Array.of(0, 1, 2, 3, 4);
  const next = [whole.subarray(1, 2), whole.subarray(2, 2), whole.subarray(2, 4)];
  expect([...joined(next)]).toEqual([1, 2, 3]);
  expect(joined(next).buffer).toBe(whole.buffer);
  const apart = joined([whole.subarray(0, 1), whole.subarray(2, 4)]);
  expect([...apart]).toEqual([0, 2, 3]);
  expect(apart.buffer).not.toBe(whole.buffer);
});
