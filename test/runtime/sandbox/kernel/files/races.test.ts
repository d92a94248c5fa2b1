// @module-tag any-user
// @module-tag slow
// @module-tag attack
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { SECRET, snapshotOf, useScratch } from "./scratch.ts";

const scratch = useScratch();
const ROUNDS = 4000;

/** Exchanges two names in an endless loop, each time in one step (renameat2 with RENAME_EXCHANGE, 2). */
const SWAPPER = `
import ctypes, sys
libc = ctypes.CDLL(None)
a, b = (name.encode() for name in sys.argv[1:])
print("swapping" if libc.renameat2(-100, a, -100, b, 2) == 0 else "cannot", flush=True)
while True: libc.renameat2(-100, a, -100, b, 2)
`;

/** Reason why the swapper cannot run here. `null` if it can. */
const noSwapper = (() => {
  const { error } = spawnSync("python3", ["-c", "import ctypes; ctypes.CDLL(None).renameat2"]);
  return error === undefined ? null : `no python3: ${error.message}`;
})();
if (noSwapper !== null) console.warn(`skipped: ${noSwapper}`);

let swapper: ChildProcess | undefined;

/** Starts a hostile process that keeps exchanging a harmless file or folder and a trap. */
async function swap(harmless: string, trap: string): Promise<void> {
  const at = (name: string) => join(scratch.root, "workspace", name);
  swapper = spawn("python3", ["-c", SWAPPER, at(harmless), at(trap)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = await new Promise((resolve) => swapper?.stdout?.once("data", resolve));
  expect(String(output).trim()).toBe("swapping");
}

/** Repeats a call and counts its outcomes. */
async function outcomes(call: () => Promise<unknown>): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const outcome = await call().then(
      (value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : "done"),
      (error) => String(error.code),
    );
    found.set(outcome, (found.get(outcome) ?? 0) + 1);
  }
  return found;
}

let before: string[];

beforeEach(() => {
  const at = (name: string) => join(scratch.root, "workspace", name);
  mkdirSync(at("folder"));
  writeFileSync(at("folder/secret"), "harmless");
  writeFileSync(at("file"), "harmless");
  execFileSync("mkfifo", [at("fifo")]);
  symlinkSync(scratch.outside, at("absolute"));
  symlinkSync(scratch.wayOut, at("relative"));
  symlinkSync(join(scratch.outside, "secret"), at("secret"));
  before = snapshotOf(scratch.outside);
});

afterEach(async () => {
  const ended = swapper && once(swapper, "exit");
  swapper?.kill("SIGKILL");
  await ended;
  swapper = undefined;
});

describe.skipIf(noSwapper !== null)("a process that swaps a harmless file for a way out", () => {
  test("tricks a reader that uses plain paths", async () => {
    await swap("folder", "absolute");
    const path = join(scratch.root, "workspace/folder/secret");
    const found = await outcomes(async () => readFileSync(path));
    expect([...found.keys()]).toContain(SECRET);
  });

  test.each([
    ["folder", "absolute"],
    ["folder", "relative"],
  ])("cannot make a read or a listing leave the VM: %s and %s", async (harmless, trap) => {
    const { fs } = scratch;
    await swap(harmless, trap);
    const read = await outcomes(() => fs.readFile("/workspace/folder/secret"));
    expect([...read.keys()].sort()).toEqual(["ENOENT", "harmless"]);
    const opened = await outcomes(async () => {
      const reader = await fs.openReader("/workspace/folder/secret");
      return reader.read(0, 100).finally(() => reader.close());
    });
    expect([...opened.keys()].sort()).toEqual(["ENOENT", "harmless"]);
    const listed = await outcomes(async () => {
      const names = (await fs.readdir("/workspace/folder")).map(({ name }) => name);
      return Buffer.from(names.join());
    });
    expect([...listed.keys()].sort()).toEqual(["ENOENT", "secret"]);
  });

  test("cannot make readFile follow a link that takes a file's place", async () => {
    await swap("file", "secret");
    const read = await outcomes(() => scratch.fs.readFile("/workspace/file"));
    expect([...read.keys()].sort()).toEqual(["ENOENT", "harmless"]);
  });

  test("cannot make readFile wait for a FIFO", async () => {
    await swap("file", "fifo");
    const read = await outcomes(() => scratch.fs.readFile("/workspace/file"));
    expect([...read.keys()].sort()).toEqual(["EINVAL", "harmless"]);
  });

  test.each(["absolute", "relative"])("cannot make a write leave the VM: %s", async (trap) => {
    const files = new Files(scratch.fs);
    await swap("folder", trap);
    let count = 0;
    const done = await outcomes(async () => {
      const name = `/workspace/folder/new-${count++ % 50}`;
      await files.writeFile(name, "written");
      await files.mkdir(`${name}-folder`);
      await scratch.fs.symlink("x", `${name}-link`);
      await scratch.fs.chmod("/workspace/folder/secret", 0o600);
      await scratch.fs.utimes("/workspace/folder/secret", 0, 0);
      await files.move("/workspace/folder/secret", "/workspace/folder/secret-2");
      await files.move("/workspace/folder/secret-2", "/workspace/folder/secret");
      await files.delete(`${name}-link`);
      await files.delete(`${name}-folder`);
      await files.delete(name);
    });
    expect(done.size).toBeGreaterThan(1);
    expect(snapshotOf(scratch.outside)).toEqual(before);
  });

  test("cannot make a recursive delete leave the VM", async () => {
    const files = new Files(scratch.fs);
    await swap("folder", "absolute");
    await outcomes(async () => {
      await files.writeFile("/workspace/folder/secret/deep", "x").catch(() => undefined);
      await files.delete("/workspace/folder/secret", { recursive: true });
    });
    expect(snapshotOf(scratch.outside)).toEqual(before);
  });

  test("cannot make a recursive delete follow a link that takes a folder's place", async () => {
    const files = new Files(scratch.fs);
    await files.writeFile("/opt/kept/file", "content");
    const build = async () => {
      for (let index = 0; index < 20; index++) await files.writeFile(`/workspace/tree/folder/${index}`, "x");
      await scratch.fs.symlink("/opt/kept", "/workspace/tree/link");
    };
    await build();
    await swap("tree/folder", "tree/link");
    for (let round = 0; round < 200; round++) {
      await files.delete("/workspace/tree", { recursive: true });
      await build().catch(() => undefined);
    }
    expect(await files.readdir("/opt/kept")).toEqual(["file"]);
  });
});
