// @module-tag slow
// @module-tag any-user
// @module-tag attack
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { useScratch } from "./scratch.ts";

const LEVELS = 10_000;
const NEST = `
import os, sys
os.chdir(sys.argv[1])
for level in range(int(sys.argv[2])):
    os.mkdir("d"); os.mkdir("e"); open("f", "w").close(); os.chdir("d")
`;

const scratch = useScratch();

beforeEach((context) => {
  const nested = spawnSync("python3", ["-c", NEST, join(scratch.root, "workspace"), String(LEVELS)]);
  if (nested.status !== 0) context.skip(`cannot nest directories here: ${nested.error ?? nested.stderr}`);
});

test("deletes a tree of any depth with few descriptors", async () => {
  const files = new Files(scratch.fs);
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, readdirSync("/proc/self/fd").length);
  }, 1);
  const before = readdirSync("/proc/self/fd").length;
  await files.delete("/workspace/d", { recursive: true });
  clearInterval(timer);
  expect(await files.readdir("/workspace")).toEqual(["e", "f"]);
  expect(most - before).toBeLessThan(50);
});
