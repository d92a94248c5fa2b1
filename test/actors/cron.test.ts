import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { CronEvent } from "../../src/api/events.ts";
import { freePort } from "../support/free-port.ts";
import { createClient, listen, setup, vmActor } from "../support/library.ts";
import { failure } from "../support/until.ts";

/** A server in this process whose VMs sleep soon. */
async function startCronServer(sleepTimeoutMs = 300) {
  const dataDir = mkdtempSync(join(tmpdir(), "agent-vm-test-"));
  const registry = setup({ use: { vm: vmActor({ sleepTimeoutMs }) }, port: await freePort(), dataDir });
  const { endpoint, close } = await listen(registry);
  const client = createClient<typeof registry>({ endpoint });
  onTestFinished(async () => {
    await client.dispose();
    await close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  return { client, dataDir };
}

test("a schedule of every second fires every second, and its events tell", async () => {
  const { client } = await startCronServer();
  const conn = client.vm.getOrCreate("ticker").connect();
  const events: CronEvent[] = [];
  const three = new Promise<void>((resolve) => {
    conn.on("cronEvent", ({ event }) => {
      events.push(event);
      if (events.filter(({ type }) => type === "cron:complete").length === 3) resolve();
    });
  });
  const { id } = await conn.scheduleCron({
    id: "tick",
    schedule: "*/1 * * * * *",
    action: { type: "exec", command: "echo tick; exit 3" },
  });
  await three;
  await conn.cancelCronJob(id);
  const fired = events.filter(({ type }) => type === "cron:fire");
  const [first = 0] = fired.map(({ firedAt }) => firedAt);
  expect(fired.slice(0, 3).map(({ firedAt }) => firedAt - first)).toEqual([0, 1000, 2000]);
  for (const { time, firedAt } of fired) expect(time - firedAt).toBeLessThan(1000);
  expect(events.find(({ type }) => type === "cron:complete")).toMatchObject({
    id: "tick",
    jobId: "tick",
    schedule: "*/1 * * * * *",
    exitCode: 3,
  });
  const runs = await conn.listCronRuns("tick");
  expect(runs.at(-1)).toMatchObject({ status: "completed", exitCode: 3, outputTail: "tick\n", attempt: 1 });
  await conn.dispose();
});

test("a sleeping VM is woken by its job, stays awake for the run and sleeps again", async () => {
  const { client } = await startCronServer();
  const agent = client.vm.getOrCreate("sleeper");
  const at = new Date(Date.now() + 2500).toISOString();
  await agent.scheduleCron({
    id: "once",
    schedule: at,
    action: { type: "exec", command: "sleep 1; uptime" },
  });
  // Nobody asks until it is over: a question would wake the VM, too.
  await new Promise((resolve) => setTimeout(resolve, 6000));
  const [run] = await agent.listCronRuns("once");
  expect(run).toMatchObject({ status: "completed", exitCode: 0 });
  expect((run?.startedAt ?? 0) - (run?.scheduledAt ?? 0)).toBeLessThan(1000);
  expect(await agent.listCronJobs()).toMatchObject([{ id: "once", nextRun: null, runCount: 1 }]);
});

test("the alarm's action is not one for clients", async () => {
  const { client, dataDir } = await startCronServer();
  const agent = client.vm.getOrCreate("hostile");
  expect(await failure(agent.action({ name: "ringCron", args: [] }))).toMatchObject({
    code: "action_not_found",
  });
  const plain = await import("rivetkit/client");
  const { endpoint } = { endpoint: "" };
  expect([plain, endpoint, dataDir].length).toBe(3);
  expect(readdirSync(dataDir)).toContain("alarms");
});
