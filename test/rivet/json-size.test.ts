import { expect, test } from "vitest";
import { jsonSize } from "../../src/rivet/json-size.ts";

const NO_LIMIT = { bytes: Number.POSITIVE_INFINITY, escapes: Number.POSITIVE_INFINITY };

test.each([
  ["plain", "abc", 0],
  ["short escapes", '"\\\n\r\t\b\f', 7],
  ["control characters", "\u0000\u0001\u001f", 3],
  ["binary output", Buffer.from([0xff, 0xfe]).toString(), 4],
  ["wide characters", "é漢\u{1f600}", 0],
  ["halves of surrogate pairs", "\udcff\ud800x\ud800\ud800\u{1f600}\udc00", 40],
  ["a long text", `${"a".repeat(200_000)}\n${"é".repeat(100_000)}`, 1],
])("measures %s as JSON", async (_name, text, escapes) => {
  const { bytes, ...rest } = await jsonSize(text, NO_LIMIT);
  const exact = Buffer.byteLength(JSON.stringify(text)) - 2;
  expect(rest).toEqual({ escapes });
  expect(bytes).toBeGreaterThanOrEqual(exact);
  expect(bytes).toBeLessThanOrEqual(exact + 2);
});

test("measures bytes and names in objects and lists", async () => {
  const value = { list: ["a\n", 1, null], content: new Uint8Array(10) };
  expect(await jsonSize(value, NO_LIMIT)).toEqual({ bytes: 4 + 3 + 5 + 5 + 7 + 16, escapes: 1 });
});

test("measures surrogate pairs across slices", async () => {
  for (const start of ["", "a"])
    expect((await jsonSize(start + "\u{1f600}".repeat(100_000), NO_LIMIT)).escapes).toBe(0);
});

test("stops above a limit", async () => {
  const { escapes } = await jsonSize("\n".repeat(10_000_000), { ...NO_LIMIT, escapes: 1000 });
  expect(escapes).toBeLessThan(1_000_000);
});
