import { expect, test } from "vitest";
import { encodeFrame, FrameReader } from "../../../../../src/runtime/sandbox/kernel/helpers/frames.ts";
import { cpuMs } from "../../../../support/cpu.ts";

const read = (reader: FrameReader, data: Buffer) =>
  [...reader.push(data)].map(({ kind, number, body }) => [kind, number, body.toString()]);

test("frames are read whole, however they are cut", () => {
  const sent = Buffer.concat([
    encodeFrame("a", 1),
    encodeFrame("b", 2, Buffer.from("text")),
    encodeFrame("c", 3, Buffer.alloc(10_000, "x")),
  ]);
  const frames = [
    ["a", 1, ""],
    ["b", 2, "text"],
    ["c", 3, "x".repeat(10_000)],
  ];
  for (const size of [1, 3, 9, 4_099, sent.length]) {
    const reader = new FrameReader();
    const found = [];
    for (let at = 0; at < sent.length; at += size)
      found.push(...read(reader, sent.subarray(at, Math.min(at + size, sent.length))));
    expect(found).toEqual(frames);
    expect(reader.isInFrame).toBe(false);
  }
});

test("a frame that may not come is refused at its head", () => {
  const limits: Record<string, number> = { a: 10 };
  const reader = () => new FrameReader(100, (kind) => limits[kind]);
  expect(read(reader(), encodeFrame("a", 0, Buffer.alloc(10)))).toHaveLength(1);
  for (const [length, kind] of [
    [16, "a"],
    [5, "b"],
    [101, ""],
    [4, ""],
  ] as const) {
    const head = Buffer.concat([Buffer.from([0, 0, 0, length]), Buffer.from(kind)]);
    expect(() => read(reader(), head)).toThrow("a frame");
    const bytes = reader();
    expect(() => [...head].flatMap((byte) => read(bytes, Buffer.from([byte])))).toThrow("a frame");
  }
});

test("a large frame in small pieces is read in linear time", () => {
  const sent = encodeFrame("a", 0, Buffer.alloc(4 * 1024 * 1024));
  const reader = new FrameReader();
  const startedAt = cpuMs();
  let count = 0;
  for (let at = 0; at < sent.length; at += 256) count += read(reader, sent.subarray(at, at + 256)).length;
  expect(count).toBe(1);
  // Quadratic time is above 5 s.
  expect(cpuMs() - startedAt).toBeLessThan(2_000);
});
