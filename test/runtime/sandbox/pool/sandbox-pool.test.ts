// @module-tag any-user
import { readFileSync } from "node:fs";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { vmOptionsSchema } from "../../../../src/runtime/options.ts";
import { createSandboxFactory } from "../../../../src/runtime/sandbox/factory.ts";
import { type PoolConditions, SandboxPool } from "../../../../src/runtime/sandbox/pool/sandbox-pool.ts";
import type { Sandbox, SandboxFactory } from "../../../../src/runtime/sandbox/sandbox.ts";
import { ownDescendants } from "../../../support/host.ts";
import { until } from "../../../support/until.ts";

const { limits } = vmOptionsSchema.parse({});
const never = new AbortController().signal;
const kernel = createSandboxFactory(vmOptionsSchema.parse({}));
afterAll(() => kernel.close?.());

interface Seams extends Partial<PoolConditions> {
  size?: number;
  /** Runs before each boot. Its error is the boot's. */
  beforeBoot?(limits: object | undefined): void | Promise<void>;
  isShort?(): boolean;
}

/** Opens a pool over real sandboxes. It closes when the test ends. */
function openPool({ size = 1, beforeBoot, isShort = () => false, ...conditions }: Seams = {}) {
  const booted: Sandbox[] = [];
  const errors: unknown[] = [];
  const factory: SandboxFactory = {
    ...kernel,
    close: async () => undefined,
    isShort,
    async boot(signal, given) {
      await beforeBoot?.(given);
      const sandbox = await kernel.boot(signal, given);
      booted.push(sandbox);
      return sandbox;
    },
  };
  const pool = new SandboxPool(factory, limits, size);
  pool.open({
    places: () => Number.POSITIVE_INFINITY,
    onFailure: (error) => errors.push(error),
    ...conditions,
  });
  onTestFinished(async () => {
    await pool.close();
    await Promise.all(booted.map((sandbox) => sandbox.dispose()));
  });
  const isFull = () => until(() => pool.tally.waiting === size);
  return { pool, booted, errors, isFull };
}

/** Finds the descendant of this process of which a file in /proc has a text. */
function hostPid(file: "status" | "cmdline", text: RegExp): number {
  const found = ownDescendants().find((pid) => text.test(readFileSync(`/proc/${pid}/${file}`, "utf8")));
  if (found === undefined) throw new Error(`No descendant has ${text}`);
  return found;
}

/** Kills a process and holds the event loop until it is dead, so that its parent in this process cannot notice. */
function killNow(pid: number): void {
  process.kill(pid, "SIGKILL");
  while (!/^State:\s+Z/m.test(statusOf(pid)));
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "State: Z";
  }
}

async function output(sandbox: Sandbox, line: string): Promise<string> {
  const process = await sandbox.processes?.spawn({ line, env: { PATH: "/usr/bin" }, cwd: "/", stdin: false });
  let text = "";
  process?.onOutput((_stream, data) => {
    text += data.toString();
  });
  await process?.exited;
  return text;
}

test("a VM gets a sandbox that has waited with its spawner, and another is booted in its place", async () => {
  const { pool, booted, isFull } = openPool();
  await isFull();
  const [waiting] = booted;
  const before = ownDescendants().length;
  const sandbox = await pool.boot(never, limits);
  expect(sandbox).toBe(waiting);
  expect(await output(sandbox, "ps -e -o args= | grep -c '^agentos-spawne[r]'")).toBe("1\n");
  await isFull();
  expect(booted.length).toBe(2);
  expect(ownDescendants().length).toBeGreaterThan(before);
  expect(pool.tally).toMatchObject({ hits: 1, misses: 0, booted: 2, failed: 0, dropped: 0 });
});

test("VMs that boot at once get a sandbox each", async () => {
  const { pool, isFull } = openPool({ size: 2 });
  await isFull();
  const sandboxes = await Promise.all(Array.from({ length: 5 }, () => pool.boot(never, limits)));
  expect(new Set(sandboxes).size).toBe(5);
  expect(pool.tally.hits + pool.tally.misses).toBe(5);
  expect(pool.tally.hits).toBeGreaterThanOrEqual(2);
});

test("a VM whose limits shape another boot gets a sandbox of its own", async () => {
  const { pool, booted, isFull } = openPool();
  await isFull();
  const small = await pool.boot(never, { ...limits, filesystemBytes: 1024 * 1024 });
  expect(small).not.toBe(booted[0]);
  expect(await output(small, "stat -f -c '%b %S' /")).toBe("256 4096\n");
  expect(pool.tally).toMatchObject({ waiting: 1, hits: 0, misses: 1 });
  expect(await pool.boot(never, { ...limits, captureBytes: 1 })).toBe(booted[0]);
});

test("a VM takes the sandbox that boots ahead if no other waits", async () => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const { pool, booted } = openPool({
    beforeBoot: () => {
      begun.resolve();
      return gate.promise;
    },
  });
  await begun.promise;
  const first = pool.boot(never, limits);
  gate.resolve();
  expect(await first).toBe(booted[0]);
  expect(pool.tally).toMatchObject({ hits: 1, misses: 0 });
});

test("a sandbox that died while it waited is no VM's", async () => {
  const { pool, booted, isFull } = openPool();
  await isFull();
  const [dead] = booted;
  killNow(hostPid("status", /^NSpid:\s+\d+\s+\d*\s*1$/m));
  const sandbox = await pool.boot(never, limits);
  expect(sandbox).not.toBe(dead);
  expect(await output(sandbox, "echo up")).toBe("up\n");
  expect(pool.tally).toMatchObject({ hits: 0, misses: 1, dropped: 1 });
});

test("a sandbox whose spawner died while it waited starts commands", async () => {
  const { pool, booted, isFull } = openPool();
  await isFull();
  process.kill(hostPid("cmdline", /^agentos-spawner/), "SIGKILL");
  const sandbox = await pool.boot(never, limits);
  expect(sandbox).toBe(booted[0]);
  expect(await output(sandbox, "echo up")).toBe("up\n");
});

test("the files of a sandbox that has waited can be made read-only for its programs", async () => {
  const { pool, isFull } = openPool();
  await isFull();
  const sandbox = await pool.boot(never, limits);
  await sandbox.makeReadOnly?.();
  expect(await output(sandbox, "touch /workspace/x 2>&1")).toContain("Read-only file system");
});

test("a sandbox that cannot be booted ahead is reported once, and fails no VM", async () => {
  const { pool, errors } = openPool({
    beforeBoot() {
      if (isAhead) throw new Error("no");
    },
  });
  let isAhead = true;
  await until(() => pool.tally.failed === 1);
  isAhead = false;
  expect(await output(await pool.boot(never, limits), "echo up")).toBe("up\n");
  expect(errors).toEqual([new Error("no")]);
});

test("sandboxes that wait make room for a VM that could not boot beside them", async () => {
  let isFirst = true;
  const { pool, booted, isFull } = openPool({
    beforeBoot(given) {
      if (given === limits || !isFirst) return;
      isFirst = false;
      throw new Error("no uid left");
    },
  });
  await isFull();
  const sandbox = await pool.boot(never, { ...limits, inodes: 5000 });
  expect(await output(sandbox, "echo up")).toBe("up\n");
  expect(pool.tally.dropped).toBe(1);
  await expect(booted[0]?.processes?.spawn({ line: ":", env: {}, cwd: "/", stdin: false })).rejects.toThrow();
});

test("a host that becomes short gets its sandboxes back, and none is booted ahead", async () => {
  let short = false;
  const { pool, booted, isFull } = openPool({ size: 2, isShort: () => short });
  await isFull();
  short = true;
  await pool.boot(never, limits);
  await until(() => pool.tally.waiting === 0);
  expect(pool.tally).toMatchObject({ hits: 1, dropped: 1 });
  expect(booted.length).toBe(2);
});

test("no more sandboxes wait than the server may boot VMs", async () => {
  let places = 3;
  const { pool } = openPool({ size: 2, places: () => places });
  await until(() => pool.tally.waiting === 2);
  places = 1;
  await pool.boot(never, limits);
  places = 0;
  await until(() => pool.tally.waiting === 0);
  expect(pool.tally.booted).toBe(2);
});

test("a closed pool leaves no process, also if a boot was on its way", async () => {
  const before = ownDescendants().length;
  const begun = Promise.withResolvers<void>();
  const { pool } = openPool({
    size: 3,
    beforeBoot: () => {
      if (pool.tally.booted === 1) begun.resolve();
    },
  });
  await begun.promise;
  await pool.close();
  expect(ownDescendants().length).toBeLessThanOrEqual(before);
  expect(pool.tally.waiting).toBe(0);
  // A VM that comes later boots as without a pool.
  const late = await pool.boot(never, limits);
  await late.dispose();
});

test("a pool that is not open boots nothing ahead", async () => {
  let boots = 0;
  const boot: SandboxFactory["boot"] = (signal, given) => {
    boots += 1;
    return kernel.boot(signal, given);
  };
  const pool = new SandboxPool({ ...kernel, boot }, limits, 2);
  await (await pool.boot(never)).dispose();
  await pool.drain();
  expect(boots).toBe(1);
});
