import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import { Damage, decodeBlock, encodeBlock } from "../../../src/runtime/persistence/codec.ts";
import { testRows } from "../../support/rows.ts";
import { failure } from "../../support/until.ts";

testRows(
  [
    ["that cannot be compressed", randomBytes(200_000)],
    ["that is compressed", Buffer.from("text ".repeat(40_000))],
    ["that is compressed and small", Buffer.from("text ".repeat(1_000))],
    ["of a few bytes", Buffer.from("x")],
    ["without bytes", Buffer.alloc(0)],
  ] as const,
  5,
)("content %s comes back whole, and no changed or shortened block is taken", async (_what, content) => {
  const block = await encodeBlock(content);
  expect(block.length).toBeLessThanOrEqual(content.length + 5);
  expect(Buffer.from(await decodeBlock(block)).equals(content)).toBe(true);
  for (const at of [0, 1, 4, block.length >> 1, block.length - 1]) {
    const changed = block.slice();
    changed[at] = (changed[at] as number) ^ 0x40;
    expect(await failure(decodeBlock(changed))).toBeInstanceOf(Damage);
  }
  for (const length of [0, 1, 4, block.length - 1])
    if (length < block.length)
      expect(await failure(decodeBlock(block.subarray(0, length)))).toBeInstanceOf(Damage);
});
