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
