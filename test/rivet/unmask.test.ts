import { expect, test } from "vitest";
import { unmask } from "../../src/rivet/unmask.ts";

test.each([0, 1, 2, 3])("unmasks frames of every length, %i bytes into their buffer", (offset) => {
  const mask = Uint8Array.of(1, 20, 130, 255);
  for (let length = 0; length < 140; length++) {
    const buffer = Uint8Array.from({ length: offset + length + 3 }, (_byte, at) => at * 7);
    const expected = buffer.map((byte, at) =>
      at >= offset && at < offset + length ? byte ^ mask[(at - offset) & 3]! : byte,
    );
    unmask(buffer.subarray(offset, offset + length), mask);
    expect(buffer).toEqual(expected);
  }
});
