// @module-tag attack
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { constants, mkdtempSync, openSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { FileCalls } from "../../../../src/runtime/sandbox/kernel/files/calls.ts";
import { RootedFileSystem } from "../../../../src/runtime/sandbox/kernel/files/rooted-filesystem.ts";
import { PoolPlace } from "../../../../src/runtime/sandbox/kernel/pool-place.ts";
import { collectOutput } from "../../../support/program-output.ts";
import { seededRandom } from "../../../support/random.ts";
import { until } from "../../../support/until.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Lets the clock of the file go on by so many milliseconds. */
function pass(ms: number): void {
  const now = performance.now() + ms;
  vi.spyOn(performance, "now").mockReturnValue(now);
}

/** Resolves with the end of work that has begun, and waits. */
async function hold(place: PoolPlace): Promise<{ end(): Promise<void> }> {
  const begun = Promise.withResolvers<void>();
  const { promise, resolve } = Promise.withResolvers<void>();
  const working = place.run(() => {
    begun.resolve();
    return promise;
  });
  await begun.promise;
  return {
    async end() {
      resolve();
      await working;
    },
  };
}

async function makeSlow(place: PoolPlace): Promise<void> {
  const held = await hold(place);
  pass(1_000);
  try {
    await until(() => place.isSlow);
  } finally {
    await held.end();
  }
}

/** Whether work of a place waits while places that are free have their turns. */
async function waits(working: { began: boolean }): Promise<boolean> {
  for (let round = 0; round < 10; round++) await new PoolPlace().run(async () => undefined);
  return !working.began;
}

/** Asks for work. */
function ask(place: PoolPlace): { began: boolean; ended: Promise<void> } {
  const work = { began: false, ended: Promise.resolve() };
  work.ended = place.run(async () => {
    work.began = true;
  });
  return work;
}

test("a VM counts as slow for 600 times as long as it has kept a thread waiting", async () => {
  const hostile = new PoolPlace();
  await makeSlow(hostile);
  pass(599_000);
  expect(hostile.isSlow).toBe(true);
  pass(2_000);
  expect(hostile.isSlow).toBe(false);
});

test("work of a slow VM waits for other slow VMs, and no other VM waits for them", async () => {
  const [one, other] = [new PoolPlace(), new PoolPlace()];
  await makeSlow(one);
  await makeSlow(other);
  const held = await hold(one);
  const asked = ask(other);
  expect(await waits(asked)).toBe(true);
  await held.end();
  await asked.ended;
});

test("a VM has one thread", async () => {
  const place = new PoolPlace();
  const held = await hold(place);
  const asked = ask(place);
  expect(await waits(asked)).toBe(true);
  await held.end();
  await asked.ended;
});

test("places are free again after work that ends, fails, is late or gives up its wait", async () => {
  const { below } = seededRandom(1);
  const places = Array.from({ length: 10 }, () => new PoolPlace());
  const waits = Array.from({ length: 500 }, () => new AbortController());
  const works = waits.map(({ signal }, at) => {
    const work = async (next: () => void) => {
      for (let turn = below(3); turn > 0; turn--) await setImmediate();
      next();
      if (at % 100 === 0) await until(() => place.isSlow);
      if (below(5) === 0) throw new Error("failed");
    };
    const place = places[below(places.length)] as PoolPlace;
    return place.run(work, signal);
  });
  for (const wait of waits) if (below(3) === 0) wait.abort();
  const ends = await Promise.allSettled(works);
  expect(new Set(ends.map(({ status }) => status)).size).toBe(2);
  const slow = places.find(({ isSlow }) => isSlow) as PoolPlace;
  const held = [await hold(new PoolPlace()), await hold(new PoolPlace()), await hold(slow)];
  for (const each of held) await each.end();
});

/** Runs late-holds.ts in a process of its own. @param threads of its pool @param begun VMs that get one of them */
async function lateHolds(vms: number, threads: number, begun: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "late-holds-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const fifo = join(folder, "fifo");
  execFileSync("mkfifo", [fifo]);
  const program = spawn(
    process.execPath,
    ["--conditions=agent-vm-source", join(import.meta.dirname, "late-holds.ts"), fifo, `${vms}`, `${begun}`],
    { env: { ...process.env, UV_THREADPOOL_SIZE: String(threads) }, stdio: ["ignore", "pipe", "pipe"] },
  );
  onTestFinished(() => void program.kill("SIGKILL"));
  const output = collectOutput(program);
  await once(program, "close");
  return output.stdout + output.stderr;
}

test("VMs that keep threads waiting for the first time keep no other VM's work waiting", async () => {
  expect(await lateHolds(6, 16, 6)).toBe("6 begun, innocent ended\n");
});

test("work that is late leaves threads of the pool free", async () => {
  expect(await lateHolds(20, 16, 11)).toBe("11 begun, innocent waits\n");
  expect(await lateHolds(20, 4, 2)).toBe("2 begun, innocent waits\n");
});

function openFiles(isQuiet: () => boolean): { files: RootedFileSystem; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "pool-place-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const rootFd = openSync(folder, constants.O_DIRECTORY);
  const calls = new FileCalls(isQuiet);
  return { files: new RootedFileSystem({ rootFd, owner: null, perl: "/usr/bin/perl", calls }), folder };
}

test("the files of a VM close while calls of theirs wait for the work of other VMs", async () => {
  const hostile = [await hold(new PoolPlace()), await hold(new PoolPlace())];
  const asks = Promise.withResolvers<void>();
  const { files } = openFiles(() => {
    asks.resolve();
    return false;
  });
  const waiting = Promise.allSettled([files.stat("/one"), files.stat("/other")]);
  await asks.promise;
  await files.close();
  expect(await waiting).toMatchObject(Array(2).fill({ status: "rejected", reason: { code: "vm_stopped" } }));
  for (const held of hostile) await held.end();
});

test("the files of a VM close without their temporary files while the work of other VMs goes on", async () => {
  const hostile = [await hold(new PoolPlace()), await hold(new PoolPlace())];
  try {
    let isQuiet = true;
    const { files, folder } = openFiles(() => isQuiet);
    const writer = await files.openWriter("/file");
    await files.openWriter("/other");
    isQuiet = false;
    const closing = writer.close();
    await files.close();
    await closing;
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    for (const held of hostile) await held.end();
  }
});

test("the files of a VM whose programs run leave no temporary file when they close", async () => {
  const { files, folder } = openFiles(() => false);
  await files.openWriter("/file");
  expect(readdirSync(folder)).toHaveLength(1);
  await files.close();
  expect(readdirSync(folder)).toEqual([]);
});
