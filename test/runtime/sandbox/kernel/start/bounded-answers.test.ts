import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { Excerpt } from "../../../../../src/runtime/sandbox/kernel/start/excerpt.ts";
import { LineReader } from "../../../../../src/runtime/sandbox/kernel/start/line-reader.ts";

test("lines come one at a time, also those that were said before they were asked for", async () => {
  const stream = new PassThrough();
  const lines = new LineReader(stream);
  stream.write("one\ntw");
  expect(await lines.next(1000)).toBe("one");
  const next = lines.next(1000);
  stream.write("o\nthree\n");
  expect(await next).toBe("two");
  expect(await lines.next(1000)).toBe("three");
  stream.destroy();
  expect(await lines.next(1000)).toBeUndefined();
});

test("output without an end closes the stream", async () => {
  const stream = new PassThrough();
  const lines = new LineReader(stream);
  const next = lines.next(60_000);
  stream.write(Buffer.alloc(5000, "x"));
  expect(await next).toBeUndefined();
  expect(stream.destroyed).toBe(true);
});

test("a silent stream is closed after the time given", async () => {
  const stream = new PassThrough();
  expect(await new LineReader(stream).next(1)).toBeUndefined();
  expect(stream.destroyed).toBe(true);
});

test("of errors without an end the beginning is kept", async () => {
  const stream = new PassThrough();
  const errors = new Excerpt(stream);
  stream.write(Buffer.alloc(1 << 20, "x"));
  await errors.ended;
  expect(errors.text).toBe("x".repeat(4096));
});
