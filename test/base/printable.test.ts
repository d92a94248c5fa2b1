import { expect, test } from "vitest";
import { printable, printableLine } from "../../src/base/printable.ts";

test.each([
  ["a.example", "a.example"],
  ["ä 日本 🙂", "ä 日本 🙂"],
  ["a\nFAKE\x1b[2J", "a\\u000aFAKE\\u001b[2J"],
  ["\r\t\0\x7f\x9b", "\\u000d\\u0009\\u0000\\u007f\\u009b"],
  ["\u2028\u202eexe", "\\u2028\\u202eexe"],
])("%j is shown as %s", (text, shown) => {
  expect(printable(text)).toBe(shown);
});

test("a line of JSON keeps its meaning and its end", () => {
  const line = `${JSON.stringify({ a: "\x9b2J\x1b\u202e" })}\n`;
  expect(printableLine(line)).toMatch(/^[\x20-\x7e]*\n$/);
  expect(JSON.parse(printableLine(line))).toEqual({ a: "\x9b2J\x1b\u202e" });
});
