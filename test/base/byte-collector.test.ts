import { expect, test } from "vitest";
import { ByteCollector } from "../../src/base/byte-collector.ts";

test("returns all bytes in order and is empty afterwards", () => {
  const collector = new ByteCollector();
  const expected: Buffer[] = [];
  for (const size of [1, 0, 1, 70_000, 3, 600_000]) {
    const piece = Buffer.alloc(size, size % 251);
    expected.push(piece);
    collector.push(piece);
  }
  expect(collector.takeAll().equals(Buffer.concat(expected))).toBe(true);
  expect(collector.takeAll()).toHaveLength(0);
});

test("keeps no reference to a piece", () => {
  const collector = new ByteCollector();
  const piece = Buffer.from("abc");
  collector.push(piece);
  piece.fill(0);
  expect(collector.takeAll().toString()).toBe("abc");
});

test("drops the end, in the middle of a block and between blocks", () => {
  const pieces = [Buffer.alloc(300_000, 1), Buffer.alloc(500_000, 2), Buffer.alloc(7, 3)];
  const all = Buffer.concat(pieces);
  for (const length of [0, 1, 299_999, 300_000, 300_001, 800_003, 800_007, 900_000]) {
    const collector = new ByteCollector();
    for (const piece of pieces) collector.push(piece);
    expect(collector.length).toBe(all.length);
    collector.cutTo(length);
    expect(collector.length).toBe(Math.min(length, all.length));
    collector.push(Buffer.from("end"));
    const expected = Buffer.concat([all.subarray(0, length), Buffer.from("end")]);
    expect(collector.takeAll().equals(expected)).toBe(true);
  }
});
