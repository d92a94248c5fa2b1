// @module-tag slow
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Files } from "../../../src/runtime/filesystem/files.ts";
import type { FileSystem } from "../../../src/runtime/sandbox/files.ts";
import { MemoryFileSystem } from "../../../src/runtime/sandbox/memory/memory-filesystem.ts";
import { makeTree, openRoot, scratchFolder, text } from "./file-systems.ts";

const STEPS = 3000;
const NAMES = ["a", "b", "c"];

type Random = (limit: number) => number;

/** Returns a random generator that repeats its numbers for each seed (mulberry32). */
function randomFrom(seed: number): Random {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[random(items.length)] as T;
}

function randomPath(random: Random): string {
  const names = Array.from({ length: 1 + random(3) }, () => pick(random, NAMES));
  return `/workspace/${names.join("/")}${random(8) === 0 ? "/" : ""}`;
}

function randomTarget(random: Random): string {
  const names = Array.from({ length: 1 + random(3) }, () => pick(random, [...NAMES, "..", "."]));
  return `${pick(random, ["", "", "/workspace/", "../../../workspace/"])}${names.join("/")}${pick(random, ["", "", "/"])}`;
}

/** Picks an operation that can run on any file system. */
function randomOperation(
  random: Random,
): [title: string, run: (files: Files, fs: FileSystem) => Promise<unknown>] {
  const path = randomPath(random);
  const other = randomPath(random);
  const target = randomTarget(random);
  const content = "x".repeat(random(20));
  const recursive = random(2) === 0;
  const mode = 0o700 + random(64);
  return pick(random, [
    [`writeFile ${path}`, (files: Files) => files.writeFile(path, content)],
    [`write ${path}`, (_: Files, fs: FileSystem) => fs.writeFile(path, Buffer.from(content))],
    [`readFile ${path}`, async (files: Files) => text(await files.readFile(path))],
    [`stat ${path}`, async (files: Files) => describeStat(await files.stat(path))],
    [`lstat ${path}`, async (files: Files) => describeStat(await files.lstat(path))],
    [`exists ${path}`, (files: Files) => files.exists(path)],
    [`mkdir ${path} ${recursive}`, (files: Files) => files.mkdir(path, { recursive })],
    [`mkdir ${other}`, (_: Files, fs: FileSystem) => fs.mkdir(other)],
    [`readdir ${path}`, (files: Files) => files.readdir(path)],
    [
      `list ${path}`,
      async (files: Files) => (await files.readdirRecursive(path)).map(({ path, type }) => `${path} ${type}`),
    ],
    [`move ${path} ${other}`, (files: Files) => files.move(path, other)],
    [`move ${other} ${path}`, (files: Files) => files.move(other, path)],
    [`delete ${path}`, (files: Files) => files.delete(path)],
    [`delete ${path} ${recursive}`, (files: Files) => files.delete(path, { recursive })],
    [`rmdir ${path}`, (_: Files, fs: FileSystem) => fs.rmdir(path)],
    [`unlink ${path}`, (_: Files, fs: FileSystem) => fs.unlink(path)],
    [`symlink ${target} ${path}`, (_: Files, fs: FileSystem) => fs.symlink(target, path)],
    [`symlink ${target} ${other}`, (_: Files, fs: FileSystem) => fs.symlink(target, other)],
    [`readlink ${path}`, (_: Files, fs: FileSystem) => fs.readlink(path)],
    [`chmod ${path}`, (_: Files, fs: FileSystem) => fs.chmod(path, mode)],
    [`utimes ${path}`, (_: Files, fs: FileSystem) => fs.utimes(path, 1000, 2000)],
  ]);
}

function describeStat(stat: {
  mode: number;
  size: number;
  nlink: number;
  blocks: number;
  isDirectory: boolean;
}) {
  // Sizes of directories depend on the file system.
  const { mode, nlink, blocks, isDirectory } = stat;
  return `${mode.toString(8)} ${nlink} ${blocks} ${isDirectory ? "" : stat.size}`;
}

async function outcome(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return (await run()) ?? "done";
  } catch (error) {
    return (error as Error).message;
  }
}

let folder: string;
let kernel: FileSystem;
let memory: FileSystem;

beforeEach(() => {
  folder = scratchFolder();
  mkdirSync(join(folder, "root"));
  makeTree(join(folder, "root"));
  kernel = openRoot(join(folder, "root"));
  memory = new MemoryFileSystem({ filesystemBytes: 64 * 1024 * 1024, inodes: 10_000 });
});

afterEach(async () => {
  await Promise.all([kernel.close(), memory.close()]);
  rmSync(folder, { recursive: true, force: true });
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  "both file systems give equal results for random operations (seed %i)",
  async (seed) => {
    const random = randomFrom(seed);
    const [onKernel, inMemory] = [new Files(kernel), new Files(memory)];
    for (let step = 0; step < STEPS; step++) {
      const [title, run] = randomOperation(random);
      const expected = await outcome(() => run(onKernel, kernel));
      expect([step, title, await outcome(() => run(inMemory, memory))]).toEqual([step, title, expected]);
    }
    const describeTree = async (files: Files) =>
      Promise.all(
        (await files.readdirRecursive("/workspace")).map(
          async ({ path }) => `${path} ${describeStat(await files.lstat(path))}`,
        ),
      );
    expect(await describeTree(inMemory)).toEqual(await describeTree(onKernel));
  },
);
