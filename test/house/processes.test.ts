import { existsSync, globSync, readFileSync } from "node:fs";
import { matchesGlob } from "node:path";
import { expect, test } from "vitest";
import { ALONE } from "../../vitest.config.ts";
import { LONGEST } from "../support/run/longest-first.ts";

test("a file that mocks a module has a process of its own", () => {
  const mocking = globSync("test/**/*.test.ts", { exclude: ["**/node_modules/**"] }).filter((path) =>
    /\bvi\.(mock|doMock)\(/.test(readFileSync(path, "utf8")),
  );
  expect(mocking.length).toBeGreaterThan(5);
  expect(mocking.filter((path) => !ALONE.some((pattern) => matchesGlob(path, pattern)))).toEqual([]);
});

test("no test replaces setImmediate, for which file work of an earlier file in the process waits", () => {
  const faking = globSync("test/**/*.test.ts", { exclude: ["**/node_modules/**"] }).filter((path) =>
    /toFake: \[[^\]]*(setImmediate|performance)/.test(readFileSync(path, "utf8")),
  );
  expect(faking).toEqual([]);
});

test("the files that start first exist", () => {
  expect(LONGEST.filter((path) => !existsSync(path))).toEqual([]);
});
