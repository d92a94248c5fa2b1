import { expect, test } from "vitest";
import { BackOff } from "../../src/base/back-off.ts";

test("pauses double up to the longest one, and begin again", () => {
  const pauses = new BackOff(100, 500);
  expect(pauses.isFresh).toBe(true);
  expect([1, 2, 3, 4, 5].map(() => pauses.next())).toEqual([100, 200, 400, 500, 500]);
  expect(pauses.isFresh).toBe(false);
  pauses.restart();
  expect(pauses.isFresh).toBe(true);
  expect(pauses.next()).toBe(100);
});

test("a stretched pause is at least as long, and never above the longest one", () => {
  const pauses = new BackOff(100, 500);
  pauses.stretch(50);
  expect(pauses.next()).toBe(100);
  pauses.stretch(300);
  expect(pauses.next()).toBe(300);
  pauses.stretch(9_000);
  expect(pauses.next()).toBe(500);
});
