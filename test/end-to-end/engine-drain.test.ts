// @module-tag slow
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { cliEnv } from "../support/cli.ts";
import { PATIENT, startEngine, startEngineServer } from "../support/engine.ts";
import { marked } from "../support/marked.ts";
import { runProgram } from "../support/program.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { failure, underWay, until } from "../support/until.ts";

const TOKEN = "token of both servers";
const env = cliEnv();
const within = { interval: 250 };

/** Thresholds above the time that an engine takes to start on a busy machine. */
const VERY_PATIENT = {
  ...PATIENT,
  RIVET__PEGBOARD__RUNNER_LOST_THRESHOLD: "120000",
  RIVET__PEGBOARD__RUNNER_PING_TIMEOUT_MS: "60000",
};

test("agent-vm drain: the server is not ready, ends its calls, hands its VMs over with their files, and exits", async (context) => {
  const engine = await startEngine(context, PATIENT);
  const servers = { AGENT_VM_TOKEN: TOKEN, AGENT_VM_DRAIN_MS: "60000" };
  const first = await startEngineServer(engine, servers);
  await using client = createClient<typeof registry>({ endpoint: engine.endpoint, token: TOKEN });
  const ready = async () => (await fetch(`${first.endpoint}/health/ready`)).status;
  await expect.poll(ready, within).toBe(200);
  const vms = Array.from({ length: 4 }, (_, index) => client.vm.getOrCreate(`vm-${index}`));
  const [busy] = vms;
  await expect.poll(() => busy?.exists("/").catch(() => false), within).toBe(true);
  // Files that only processes have written, without a checkpoint.
  await Promise.all(vms.map((vm, index) => vm.exec(`echo ${index} > /workspace/made`)));
  const connection = busy!.connect();
  const mark = `mark-${process.pid}-${Date.now()}`;
  const running = underWay(
    connection.exec(`sh -c 'while ! [ -e /workspace/go ]; do sleep 0.1; done; echo ended' ${mark}`),
  );
  await until(() => marked(mark).length > 0);
  const second = await startEngineServer(engine, servers);

  const drain = (token: string) =>
    runProgram([AGENT_VM_PROGRAM, "drain"], { env: { ...env(first), AGENT_VM_TOKEN: token } });
  expect(await drain("wrong")).toMatchObject({
    code: 5,
    stderr: expect.stringContaining("The token is not the server's"),
  });
  await expect.poll(ready, within).toBe(200);
  const drained = underWay(drain(TOKEN));
  await expect.poll(ready, within).toBe(503);
  // These calls have not begun. They wait for the second server, and none is lost.
  const later = [connection, ...vms.slice(1)].map((vm) => underWay(vm.exec("cat /workspace/made")));
  const moved = await Promise.all(later.slice(1));
  expect(moved.map(({ stdout }) => stdout)).toEqual(["1\n", "2\n", "3\n"]);
  await client.vm.getOrCreate("new").exec("true");
  expect(first.process.exitCode).toBe(null);
  expect(marked(mark)).not.toEqual([]);

  // The running call ends where it began.
  process.kill(Number(marked(mark)[0]), "SIGTERM");
  const { exitCode } = await running;
  expect(exitCode).not.toBe(0);
  expect((await later[0])?.stdout).toBe("0\n");
  expect(await first.exited).toBe(0);
  expect(await drained).toMatchObject({ code: 0 });
  await client.vm.getOrCreate("vm-0").exec("true");
  expect(await second.stop("SIGTERM")).toBe(0);
});

test("a rolling restart of two servers under load loses no acknowledged write and no call", async (context) => {
  const engine = await startEngine(context, PATIENT);
  const servers = [await startEngineServer(engine), await startEngineServer(engine)];
  await using client = createClient<typeof registry>({ endpoint: engine.endpoint });
  const vms = Array.from({ length: 6 }, (_, index) => client.vm.getOrCreate(`rolling-${index}`));
  await expect.poll(() => vms[0]?.exists("/").catch(() => false), within).toBe(true);
  const acknowledged = vms.map(() => 0);
  const failures: string[] = [];
  let isOver = false;
  context.onTestFinished(() => {
    isOver = true;
  });
  const working = vms.map(async (vm, index) => {
    const connection = vm.connect();
    for (let next = 1; !isOver; next += 1) {
      try {
        await vm.writeFile("/workspace/counter", String(next));
        acknowledged[index] = next;
        await connection.exec("true");
      } catch (error) {
        failures.push(`${(error as { code: string }).code} ${(error as Error).message}`);
      }
      await delay(20);
    }
  });
  /** Waits until every VM has taken some more writes. */
  const moved = async () => {
    const before = [...acknowledged];
    const fewest = () => Math.min(...acknowledged.map((count, index) => count - (before[index] ?? 0)));
    await expect.poll(fewest, within).toBeGreaterThan(3);
  };
  await moved();
  for (const [index, server] of servers.entries()) {
    servers[index] = await startEngineServer(engine);
    expect(await server.stop("SIGTERM")).toBe(0);
    await moved();
  }
  isOver = true;
  await Promise.all(working);
  expect(failures).toEqual([]);
  const read = await Promise.all(vms.map((vm) => vm.readFile("/workspace/counter")));
  expect(read.map((bytes) => Number(Buffer.from(bytes).toString()))).toEqual(acknowledged);
});

test("a server that is stopped while the engine is away hands its VMs over when the engine is back", async (context) => {
  const engine = await startEngine(context, VERY_PATIENT);
  const first = await startEngineServer(engine);
  await using client = createClient<typeof registry>({ endpoint: engine.endpoint });
  const vm = client.vm.getOrCreate("waits");
  await expect.poll(() => vm.exists("/").catch(() => false), within).toBe(true);
  const second = await startEngineServer(engine);
  // Files that only a process has written, without a checkpoint.
  await vm.exec("echo made > /workspace/made");
  await engine.restart(async () => {
    first.process.kill("SIGTERM");
    await expect.poll(async () => (await fetch(`${first.endpoint}/health/ready`)).status, within).toBe(503);
  });
  expect(await first.exited).toBe(0);
  const made = () => vm.exec("cat /workspace/made").then(({ stdout }) => stdout);
  await expect.poll(() => made().catch((error: { code: string }) => error.code), within).toBe("made\n");
  expect(await second.stop("SIGTERM")).toBe(0);
});

test("an engine that is killed and starts again in the middle of a drain gets each VM with its files", async (context) => {
  const engine = await startEngine(context, VERY_PATIENT);
  const first = await startEngineServer(engine, { AGENT_VM_DRAIN_MS: "120000" });
  await using client = createClient<typeof registry>({ endpoint: engine.endpoint });
  const vms = ["idle", "busy"].map((key) => client.vm.getOrCreate(key));
  const made = (vm: (typeof vms)[number]) => vm.exec("cat /workspace/made").then(({ stdout }) => stdout);
  await expect.poll(() => vms[0]?.exists("/").catch(() => false), within).toBe(true);
  // Files that only processes have written, without a checkpoint.
  await Promise.all(vms.map((vm) => vm.exec("echo made > /workspace/made")));
  const mark = `mark-${process.pid}-${Date.now()}`;
  const running = underWay(failure(vms[1]!.exec(`sh -c 'while :; do sleep 0.1; done' ${mark}`)));
  await until(() => marked(mark).length > 0);
  const second = await startEngineServer(engine);

  first.process.kill("SIGTERM");
  // The idle VM has moved, and the busy VM waits for its call.
  await expect
    .poll(() => made(vms[0]!).catch((error: { code: string }) => error.code), within)
    .toBe("made\n");
  expect([first.process.exitCode, marked(mark).length > 0]).toEqual([null, true]);
  await engine.restart();
  process.kill(Number(marked(mark)[0]), "SIGTERM");
  expect(await first.exited).toBe(0);
  // The killed engine's worker has the work of its actors on lease for 30 s, and the next one looks every 10 s.
  const patient = { ...within, timeout: 150_000 };
  for (const vm of vms)
    await expect.poll(() => made(vm).catch((error: { code: string }) => error.code), patient).toBe("made\n");
  await running.catch(() => undefined);
  expect(await second.stop("SIGTERM")).toBe(0);
});

test("a server of the engine's without a token refuses to listen for strangers", async (context) => {
  const engine = await startEngine(context, PATIENT);
  const error = await failure(startEngineServer(engine, { HOST: "0.0.0.0" }));
  expect(error.message).toContain("needs a token");
});
