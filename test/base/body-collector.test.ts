import { expect, test } from "vitest";
import { BodyCollector } from "../../src/base/body-collector.ts";
import { heldBytes } from "../support/heap.ts";

test.each([
  ["as large as it may be", 2_600_004],
  ["below its limit", 8_000_000],
])("returns all bytes of a body %s, in order", (_name, most) => {
  const body = new BodyCollector(most);
  const expected: Buffer[] = [];
  for (const size of [1, 0, 3, 100_000, 999_999, 1_500_001]) {
    const piece = Buffer.alloc(size, size % 251);
    expected.push(Buffer.from(piece));
    body.add(piece);
    piece.fill(0);
  }
  expect(body.length).toBe(2_600_004);
  expect(body.take().equals(Buffer.concat(expected))).toBe(true);
  expect([body.length, body.take().length]).toEqual([0, 0]);
});

test("a body has a memory of its own length", () => {
  for (const [most, length] of [
    [3_000_000, 3_000_000],
    [3_000_000, 10],
    [10, 10],
    [10, 0],
  ] as const) {
    const body = new BodyCollector(most);
    for (let rest = length; rest > 0; rest -= 65_536) body.add(new Uint8Array(Math.min(rest, 65_536)));
    const { byteLength, buffer } = body.take();
    expect([byteLength, buffer.byteLength]).toEqual([length, length]);
  }
});

test("refuses a piece above the most that a body may have, and keeps the rest", () => {
  const body = new BodyCollector(3);
  expect(body.add(Buffer.from("ab"))).toBe(true);
  expect(body.add(Buffer.from("cd"))).toBe(false);
  expect(body.add(Buffer.from("e"))).toBe(true);
  expect(body.take().toString()).toBe("abe");
});

test("a limit of one piece replaces the collector's own, and the buffer does not grow above it", () => {
  const body = new BodyCollector(3);
  expect(body.add(new Uint8Array(4), 5)).toBe(true);
  expect(body.add(new Uint8Array(1))).toBe(false);
  expect(body.add(new Uint8Array(2), 5)).toBe(false);
  expect(body.add(new Uint8Array(1), 5)).toBe(true);
  expect(body.content.buffer.byteLength).toBe(5);
});

test("a body that arrives byte by byte takes little more memory than its bytes", () => {
  const before = heldBytes();
  const body = new BodyCollector(4_000_000);
  for (let index = 0; index < 1_000_000; index++) body.add(Buffer.from([index]));
  expect(heldBytes() - before).toBeLessThan(5_000_000);
  expect(body.take().every((byte, index) => byte === (index & 0xff))).toBe(true);
});
