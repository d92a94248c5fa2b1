// @module-tag attack
import { expect, test } from "vitest";
import { jsonValues } from "../../src/base/json-values.ts";
import { cpuMs } from "../support/cpu.ts";

const LIMITS = { levels: 256, values: 100_000 };
const SIZE = 16 << 20;

test.each<[string, ReturnType<typeof jsonValues>]>([
  ["5", { values: 0 }],
  ['"a,b[{"', { values: 0 }],
  ["[]", { values: 1 }],
  ['{"a":[1,2],"b":{"c":"}],"}}', { values: 5 }],
  ['["\\"",",\\\\","\\\\\\"",1]', { values: 4 }],
  ['["\\\\\\\\",[]]', { values: 3 }],
  ["[".repeat(257), { values: 257, excess: "levels" }],
  [`[${"1,".repeat(100_000)}1]`, { values: 100_001, excess: "values" }],
])("counts the values of a JSON text", (text, counted) => {
  expect(jsonValues(text, LIMITS)).toEqual(counted);
});

test.each([
  ["blanks", `[${" ".repeat(SIZE)}]`],
  ["digits", `[${"1".repeat(SIZE)}]`],
  ["escaped quotation marks", `["${'\\"'.repeat(SIZE / 2)}"]`],
  ["escaped backslashes", `["${"\\\\".repeat(SIZE / 2)}"]`],
  ["a string without an end", `["${'a\\"'.repeat(SIZE / 3)}`],
  ["strings without values", '""'.repeat(SIZE / 2)],
  ["brackets that close nothing", "]".repeat(SIZE)],
])("counts 16 MiB of %s without holding the event loop", (_what, text) => {
  // A line of an agent, as it is decoded.
  const line = Buffer.from(text).toString();
  const times = [1, 2, 3].map(() => {
    const begun = cpuMs();
    expect(jsonValues(line, LIMITS).excess).toBeUndefined();
    return cpuMs() - begun;
  });
  expect(Math.min(...times)).toBeLessThan(75);
});
