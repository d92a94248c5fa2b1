import { globSync, readFileSync } from "node:fs";
import { matchesGlob } from "node:path";
import { expect, test } from "vitest";
import { ALONE } from "../../vitest.config.ts";

test("a file that mocks a module has a process of its own", () => {
  const mocking = globSync("test/**/*.test.ts", { exclude: ["**/node_modules/**"] }).filter((path) =>
    /\bvi\.(mock|doMock)\(/.test(readFileSync(path, "utf8")),
  );
  expect(mocking.length).toBeGreaterThan(5);
  expect(mocking.filter((path) => !ALONE.some((pattern) => matchesGlob(path, pattern)))).toEqual([]);
});
