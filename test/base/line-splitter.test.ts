import { expect, test } from "vitest";
import { LineSplitter } from "../../src/base/line-splitter.ts";
import { cpuMs } from "../support/cpu.ts";
import { heldBytes } from "../support/heap.ts";

const MAX_BYTES = 1024 * 1024;

function splitter() {
  const lines: string[] = [];
  let tooLong = 0;
  const split = new LineSplitter(
    MAX_BYTES,
    (line) => lines.push(line),
    () => tooLong++,
  );
  return { split, lines, tooLong: () => tooLong };
}

test("splits lines correctly for every size of pieces", () => {
  const text = "one\n\ntwö\n€\nlast";
  const bytes = Buffer.from(text);
  for (let size = 1; size <= bytes.length; size++) {
    const { split, lines } = splitter();
    for (let at = 0; at < bytes.length; at += size) split.push(bytes.subarray(at, at + size));
    split.push(Buffer.from("\n"));
    expect(lines).toEqual(text.split("\n"));
  }
});

test("a line that arrives byte by byte uses no extra memory", { tags: ["slow"] }, () => {
  const { split, lines, tooLong } = splitter();
  const before = heldBytes();
  for (let count = 0; count < MAX_BYTES; count++) split.push(Buffer.from("x"));
  expect(heldBytes() - before).toBeLessThan(4 * MAX_BYTES);
  split.push(Buffer.from("\n"));
  expect(lines).toEqual(["x".repeat(MAX_BYTES)]);
  expect(tooLong()).toBe(0);
});

test("ignores all input after a line that is too long", () => {
  const { split, lines, tooLong } = splitter();
  split.push(Buffer.from("first\n"));
  split.push(Buffer.alloc(MAX_BYTES, "x"));
  split.push(Buffer.from("y\nnext\n"));
  expect(lines).toEqual(["first"]);
  expect(tooLong()).toBe(1);
});

test("decodes a long line while it arrives", () => {
  const lines: string[] = [];
  const split = new LineSplitter(
    8 * MAX_BYTES,
    (line) => lines.push(line),
    () => undefined,
  );
  // Bytes that are no text take the longest.
  const piece = Buffer.alloc(60 * 1024, "\u00e4\u20ac\ud83d\ude00x");
  piece.fill(0xff, 1024);
  const begin = cpuMs();
  for (let count = 0; count < 100; count++) split.push(piece);
  const end = cpuMs();
  split.push(Buffer.from("\n"));
  const last = cpuMs() - end;
  expect(lines[0]).toBe(piece.toString().repeat(100));
  expect(last).toBeLessThan((end - begin) / 4);
});
