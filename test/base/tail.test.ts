import { expect, test } from "vitest";
import { Tail } from "../../src/base/tail.ts";
import { ReplayBudget } from "../../src/runtime/processes/replay-buffer.ts";

test("keeps the end of the output", () => {
  const tail = new Tail(5);
  for (const byte of Buffer.from("hello world")) tail.push(Buffer.of(byte));
  expect(tail.text()).toBe("world");
  tail.push(Buffer.from("a piece longer than the tail"));
  expect(tail.text()).toBe(" tail");
});

test("does not begin inside a character, and keeps its limit for invalid UTF-8", () => {
  const tail = new Tail(4);
  tail.push(Buffer.from("ab€c"));
  expect(tail.text()).toBe("€c");
  tail.push(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  expect(Buffer.byteLength(tail.text())).toBeLessThanOrEqual(4);
});

test("keeps the end of output that arrives byte by byte", () => {
  const tail = new Tail(8);
  for (let count = 0; count < 5000; count++) tail.push(Buffer.from("x"));
  expect(tail.text()).toBe("xxxxxxxx");
});

test("tails with one budget are cut when there are too many bytes, those of ended commands first", () => {
  const budget = new ReplayBudget(1000);
  const [ended, running] = [new Tail(800, budget), new Tail(800, budget)];
  ended.push(Buffer.alloc(600, "a"));
  ended.end();
  running.push(Buffer.alloc(600, "b"));
  expect([ended.text(), ended.isCut]).toEqual(["a".repeat(300), true]);
  expect([running.text(), running.isCut]).toEqual(["b".repeat(600), false]);
  ended.clear();
  running.push(Buffer.alloc(400, "c"));
  expect([running.text(), running.isCut]).toEqual([`${"b".repeat(400)}${"c".repeat(400)}`, false]);
});
