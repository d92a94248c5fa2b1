import { expect, test } from "vitest";
import { Tail } from "../../src/base/tail.ts";

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
