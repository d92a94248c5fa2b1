// @module-tag any-user
import { appendFileSync, closeSync, ftruncateSync, openSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { turnsOf } from "../../../../support/turns.ts";
import { failure, posix } from "../../../filesystem/file-systems.ts";
import { useScratch } from "./scratch.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const scratch = useScratch();

function makeSparse(name: string, size: number): void {
  const fd = openSync(join(scratch.root, "workspace", name), "w");
  ftruncateSync(fd, size);
  closeSync(fd);
}

test("readFile refuses a file above 2 GiB, and openReader reads it in pieces", async () => {
  makeSparse("huge", 2 * GIB + 1);
  expect(await failure(scratch.fs.readFile("/workspace/huge"))).toEqual(
    posix("EFBIG: file too large, read '/workspace/huge'"),
  );
  const reader = await scratch.fs.openReader("/workspace/huge");
  expect(reader.size).toBe(2 * GIB + 1);
  expect(await reader.read(2 * GIB - 1, 10)).toEqual(new Uint8Array(2));
  await reader.close();
});

test("readFile returns the rest of a file that shrinks meanwhile", async () => {
  const path = join(scratch.root, "workspace/shrinking");
  writeFileSync(path, new Uint8Array(32 * MIB).fill(1));
  const reading = scratch.fs.readFile("/workspace/shrinking");
  await new Promise((resolve) => setImmediate(resolve));
  truncateSync(path, MIB);
  const bytes = await reading;
  expect(bytes.length).toBeGreaterThanOrEqual(MIB);
  expect(bytes.length).toBeLessThanOrEqual(32 * MIB);
  expect(bytes.subarray(0, MIB).every((byte) => byte === 1)).toBe(true);
});

test("readFile reads a file that grows meanwhile up to its old size", async () => {
  const path = join(scratch.root, "workspace/growing");
  writeFileSync(path, new Uint8Array(16 * MIB).fill(1));
  const reading = scratch.fs.readFile("/workspace/growing");
  const reader = await scratch.fs.openReader("/workspace/growing");
  appendFileSync(path, new Uint8Array(MIB).fill(2));
  expect((await reading).length).toBe(16 * MIB);
  expect((await reader.read(16 * MIB - 1, 10)).length).toBe(1);
  await reader.close();
});

test("reading and writing a large file does not hold the event loop", { tags: ["slow"] }, async () => {
  const { fs } = scratch;
  const written = await turnsOf(() => fs.writeFile("/workspace/large", new Uint8Array(128 * MIB)));
  expect(written).toBeGreaterThan(20);
  expect(await turnsOf(() => fs.readFile("/workspace/large"))).toBeGreaterThan(20);
});
