import { expect, test } from "vitest";
import { ByteRanges } from "../../../src/runtime/transfers/upload.ts";

test.each([
  [[], 0],
  [[[0, 5]], 5],
  [
    [
      [5, 5],
      [0, 5],
    ],
    10,
  ],
  [
    [
      [0, 5],
      [0, 5],
    ],
    5,
  ],
  [
    [
      [0, 3],
      [6, 3],
    ],
    6,
  ],
  [
    [
      [0, 3],
      [6, 3],
      [2, 5],
    ],
    9,
  ],
  [
    [
      [0, 3],
      [6, 3],
      [20, 1],
      [1, 10],
    ],
    12,
  ],
  [
    [
      [4, 0],
      [0, 0],
    ],
    0,
  ],
] as [number[][], number][])("counts each byte of %j once", (pieces, total) => {
  const ranges = new ByteRanges();
  for (const [start = 0, length = 0] of pieces) ranges.add(start, length);
  expect(ranges.total).toBe(total);
});
