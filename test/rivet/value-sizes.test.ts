import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ValueSizes } from "../../src/rivet/value-sizes.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

test("the bytes of an actor follow new, growing and deleted files", async () => {
  const root = temporaryFolder();
  const folder = join(root, "x.values");
  const sizes = new ValueSizes(root);
  expect(await sizes.of("x")).toBe(0);
  mkdirSync(folder);
  const write = (name: string, bytes: number) => writeFileSync(join(folder, name), new Uint8Array(bytes));
  const age = (path: string, seconds: number) => utimesSync(path, seconds, seconds);
  write("1", 100);
  age(join(folder, "1"), 1_000);
  write("2", 10);
  age(folder, 1_000);
  expect(await sizes.of("x")).toBe(110);
  // The second file has just begun, so it may still grow without a change of its folder.
  write("2", 20);
  age(join(folder, "2"), 1_000);
  expect(await Promise.all([sizes.of("x"), sizes.of("x")])).toEqual([120, 120]);
  expect(await sizes.of("x")).toBe(120);
  write("3", 1);
  age(join(folder, "3"), 1_000);
  rmSync(join(folder, "1"));
  expect(await sizes.of("x")).toBe(21);
  rmSync(folder, { recursive: true });
  expect(await sizes.of("x")).toBe(0);
});
