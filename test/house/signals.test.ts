import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const SOURCE = join(import.meta.dirname, "../../src");

// It leaves 180 bytes at each signal for as long as the signal lives (Node 22.23). `EndSignal` leaves nothing.
test("no file follows several signals with AbortSignal.any", () => {
  const files = globSync("**/*.{ts,tsx}", { cwd: SOURCE });
  const follow = files.filter((file) =>
    /^(?! ?[/*]).*AbortSignal\.any\(/m.test(readFileSync(join(SOURCE, file), "utf8")),
  );
  expect(follow).toEqual([]);
});
