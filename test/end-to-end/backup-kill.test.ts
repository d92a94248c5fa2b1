// @module-tag slow
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import type { VmHandle } from "../../src/client/types.ts";
import { runBackup, runRestore } from "../support/backups.ts";
import { programEnv } from "../support/program-env.ts";
import { seededRandom } from "../support/random.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { startTestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const ROUNDS = Number(process.env.AGENT_VM_BACKUP_ROUNDS ?? 4);
const TIMEOUT_MS = 60_000 + ROUNDS * 30_000;
const FILE_BYTES = 2 * 1024 * 1024;
const LARGE_FILES = 4;

const folder = temporaryFolder();
const random = seededRandom(17);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const read = async (vm: VmHandle, path: string) => text(await vm.readFile(path));

/** Calls a function until it is stopped. */
function repeat(run: (round: number) => Promise<void>): () => Promise<void> {
  let isStopped = false;
  const ended = (async () => {
    for (let round = 1; !isStopped; round++) await run(round);
  })();
  return async () => {
    isStopped = true;
    await ended;
  };
}

async function killBackup(data: string, target: string, afterMs: number): Promise<void> {
  const child = spawn(process.execPath, [AGENT_VM_PROGRAM, "backup", target, "--data", data], {
    env: programEnv(),
    stdio: "ignore",
  });
  const ended = once(child, "close");
  await delay(afterMs);
  child.kill("SIGKILL");
  await ended;
}

test("backups that are killed restore nothing, whole ones have each VM whole, and the server goes on", {
  timeout: TIMEOUT_MS,
}, async () => {
  const server = await startTestServer({ kind: "memory", process: true });
  const client = server.client();
  const busy = client.vm.getOrCreate("busy");
  for (let n = 0; n < LARGE_FILES; n++)
    await busy.writeFile(`/workspace/large-${n}`, randomBytes(FILE_BYTES));
  let written = 0;
  const stopWriter = repeat(async (n) => {
    await busy.writeFile("/workspace/first", `${n}`);
    await busy.writeFile("/workspace/second", `${n}`);
    if (n % 20 === 0) await busy.writeFile("/workspace/large-0", randomBytes(FILE_BYTES));
    written = n;
  });
  /** VMs that are made and destroyed all the time, some of them under a key that a destroyed VM had. */
  const stopChurn = repeat(async (n) => {
    const vm = client.vm.getOrCreate(["churn", `${n % 20}`]);
    await vm.writeFile("/workspace/made", `${n}`);
    await vm.setLabels({ made: `${n}` });
    if (n % 3 > 0) await client.vm.getOrCreate(["churn", `${(n * 7) % 20}`]).destroy();
  });
  onTestFinished(async () => void (await Promise.all([stopWriter(), stopChurn()])));
  await expect.poll(() => written).toBeGreaterThan(20);

  for (let round = 0; round < ROUNDS; round++) {
    const target = join(folder, `backup-${round}`);
    const dataDir = join(folder, `restored-${round}`);
    let before = written;
    await killBackup(server.dataDir, target, 100 + random.next() * 1_500);
    if (existsSync(`${target}.unfinished`)) {
      const refused = await runRestore(`${target}.unfinished`, dataDir);
      expect(refused).toMatchObject({ code: 1, stdout: "" });
      expect(refused.stderr).toContain("is not a whole backup");
      expect(existsSync(dataDir)).toBe(false);
    }
    if (!existsSync(target)) {
      before = written;
      const { code, stderr } = await runBackup(server.dataDir, target);
      expect(code, stderr).toBe(0);
    }
    expect(await runRestore(target, dataDir)).toMatchObject({ code: 0 });
    await checkCopy(dataDir, before);
    rmSync(target, { recursive: true });
    rmSync(dataDir, { recursive: true });
  }
  const last = written;
  await expect.poll(() => written).toBeGreaterThan(last + 10);
  expect(server.stderr()).not.toContain('"level":50');
});

async function checkCopy(dataDir: string, before: number): Promise<void> {
  const copy = await startTestServer({ kind: "memory", process: true, dataDir });
  const client = copy.client();
  const busy = client.vm.getOrCreate("busy");
  const first = Number(await read(busy, "/workspace/first"));
  const second = Number(await read(busy, "/workspace/second"));
  expect(second).toBeGreaterThanOrEqual(before);
  expect([second, second + 1]).toContain(first);
  for (let n = 0; n < LARGE_FILES; n++) {
    expect((await busy.readFile(`/workspace/large-${n}`)).byteLength).toBe(FILE_BYTES);
  }
  const { vms } = await client.vm.list({ prefix: "churn" });
  for (const { key } of vms) {
    const vm = client.vm.getOrCreate(key);
    // A VM that was made just then has no file yet.
    if (await vm.exists("/workspace/made"))
      expect(`${Number(await read(vm, "/workspace/made")) % 20}`).toBe(key[1]);
  }
  expect(copy.stderr()).not.toContain('"level":50');
  await copy.stop("SIGTERM");
}
