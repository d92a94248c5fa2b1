import { appendFileSync, closeSync, ftruncateSync, openSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
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

it("are refused above 2 GiB, and can be read in pieces", async () => {
  makeSparse("huge", 2 * GIB + 1);
  expect(await failure(scratch.fs.readFile("/workspace/huge"))).toEqual(
    posix("EFBIG: file too large, read '/workspace/huge'"),
  );
  const reader = await scratch.fs.openReader("/workspace/huge");
  expect(reader.size).toBe(2 * GIB + 1);
  expect(await reader.read(2 * GIB - 1, 10)).toEqual(new Uint8Array(2));
  await reader.close();
});

it("are read as far as they reach when they shrink meanwhile", async () => {
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

it("are read as long as they were when they grow meanwhile", async () => {
  const path = join(scratch.root, "workspace/growing");
  writeFileSync(path, new Uint8Array(16 * MIB).fill(1));
  const reading = scratch.fs.readFile("/workspace/growing");
  const reader = await scratch.fs.openReader("/workspace/growing");
  appendFileSync(path, new Uint8Array(MIB).fill(2));
  expect((await reading).length).toBe(16 * MIB);
  expect((await reader.read(16 * MIB - 1, 10)).length).toBe(1);
  await reader.close();
});

it("let others run while they are read and written", async () => {
  let turns = 0;
  const count = () => {
    turns++;
    counter = setImmediate(count);
  };
  let counter = setImmediate(count);
  await scratch.fs.writeFile("/workspace/large", new Uint8Array(128 * MIB));
  const written = turns;
  await scratch.fs.readFile("/workspace/large");
  clearImmediate(counter);
  expect(written).toBeGreaterThan(20);
  expect(turns - written).toBeGreaterThan(20);
});
