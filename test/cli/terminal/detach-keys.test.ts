import { expect, test } from "vitest";
import { DetachKeys, parseDetachKeys } from "../../../src/cli/terminal/detach-keys.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

test("reads names of keys", () => {
  expect(parseDetachKeys("ctrl-p,ctrl-q")).toEqual([16, 17]);
  expect(parseDetachKeys("ctrl-],d")).toEqual([29, 100]);
  expect(() => parseDetachKeys("ctrl-é")).toThrow("Expected keys such as ctrl-p,ctrl-q");
  expect(() => parseDetachKeys("")).toThrow("Expected keys");
});

test("finds the keys across reads, and passes on what only began like them", () => {
  const keys = new DetachKeys([16, 17]);
  expect(keys.take(bytes(97, 16))).toEqual({ data: bytes(97), isComplete: false });
  expect(keys.take(bytes(98))).toEqual({ data: bytes(16, 98), isComplete: false });
  expect(keys.take(bytes(16, 16))).toEqual({ data: bytes(16), isComplete: false });
  expect(keys.take(bytes(17, 99))).toEqual({ data: bytes(), isComplete: true });
});
