import { expect, test } from "vitest";
import { linesOf, ShortenedText, shortened } from "../../../src/adapters/shared/text.ts";

test("a text within the limit stays as it is, and a longer text keeps its beginning and its end", () => {
  expect(shortened("0123456789", 10)).toBe("0123456789");
  expect(shortened("0123456789", 5)).toBe("01\n[... 5 characters left out ...]\n789");
});

test("a cut leaves no half of a character", () => {
  expect(shortened("😀😀😀😀", 5)).toBe("😀\n[... 3 characters left out ...]\n😀");
});

test.each([1, 3, 7, 1000])(
  "a text that grows by %i characters at a time is shortened as the whole text",
  (size) => {
    const text = Array.from({ length: 500 }, (_, index) => `${index},`).join("");
    const growing = new ShortenedText(40);
    for (let start = 0; start < text.length; start += size) growing.add(text.slice(start, start + size));
    expect(growing.isShortened).toBe(true);
    expect(String(growing)).toBe(shortened(text, 40));
  },
);

test("a short text that grew is whole", () => {
  const growing = new ShortenedText(10);
  for (const letter of "0123456789") growing.add(letter);
  expect([String(growing), growing.isShortened]).toEqual(["0123456789", false]);
});

test.each<[string, number | undefined, number | undefined, string]>([
  ["a\r\nb\r\nc", 2, 3, "b\r\nc"],
  ["a\rb", 2, undefined, "b"],
  ["one\ntwo\r\nthree\nfour\n", 2, 2, "two"],
  ["one\ntwo\r\nthree\nfour\n", 4, 4, "four"],
  ["one\ntwo\r\nthree", 1, 3, "one\ntwo\r\nthree"],
  ["a\r\rb", 1, 2, "a\r"],
  ["a\nb", undefined, 0, ""],
  ["", 1, 1, ""],
])("lines of %j from %s to %s", (text, start, end, expected) => {
  expect(linesOf(text, start, end)).toBe(expected);
});
