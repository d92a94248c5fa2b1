import { expect, test } from "vitest";
import { shownBytes, shownDuration } from "../../src/cli/shown.ts";
import { duration, integer, pairs, size, variables } from "../../src/cli/values.ts";

test.each([
  ["30", 30_000],
  ["500ms", 500],
  ["1.5m", 90_000],
  ["2h", 7_200_000],
  ["7d", 604_800_000],
])("reads the time %s", (text, ms) => {
  expect(duration(text)).toBe(ms);
});

test.each([
  ["1024", 1024],
  ["512M", 512 * 1024 ** 2],
  ["2GiB", 2 * 1024 ** 3],
])("reads the size %s", (text, bytes) => {
  expect(size(text)).toBe(bytes);
});

test("refuses what is no time, size, number or pair", () => {
  expect(() => duration("5x")).toThrow("Expected a time");
  expect(() => size("-1")).toThrow("Expected a size");
  expect(() => integer("1e3")).toThrow('Expected a number, got "1e3".');
  expect(() => pairs("=x")).toThrow("Expected NAME=VALUE");
  expect(() => variables("AGENT_VM_NO_SUCH_VARIABLE")).toThrow("is not set here");
});

test("a variable without a value takes the value that it has here", () => {
  process.env.AGENT_VM_TEST_VALUE = "a=b";
  expect(variables("AGENT_VM_TEST_VALUE", { X: "1" })).toEqual({ X: "1", AGENT_VM_TEST_VALUE: "a=b" });
  delete process.env.AGENT_VM_TEST_VALUE;
});

test("shows amounts for people", () => {
  expect([0, 1023, 1536, 5 * 1024 ** 3, 200 * 1024 ** 2].map(shownBytes)).toEqual([
    "0 B",
    "1023 B",
    "1.5 KiB",
    "5.0 GiB",
    "200 MiB",
  ]);
  expect([0, 12, 61_000, 7_260_000, 86_400_000].map(shownDuration)).toEqual([
    "0ms",
    "12ms",
    "1m 1s",
    "2h 1m",
    "1d",
  ]);
});
