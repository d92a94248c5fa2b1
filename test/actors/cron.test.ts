import type { Registry } from "rivetkit";
import { createClient as createRivetClient } from "rivetkit/client";
import { expect, test } from "vitest";
import type { VmActor } from "../../src/actors/vm-actor.ts";
import type { CronEvent } from "../../src/api/events.ts";
import { ownDescendants } from "../support/host.ts";
import { marked } from "../support/marked.ts";
import { startTestServer } from "../support/servers.ts";
import { failure, until } from "../support/until.ts";

/** Starts a server in this process whose VMs sleep soon. */
const startCronServer = (sleepTimeoutMs = 300) => startTestServer({ kind: "kernel", vm: { sleepTimeoutMs } });

test("a schedule of every second fires every second and sends events", async () => {
  const client = (await startCronServer()).client();
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

test("a job wakes its sleeping VM, keeps it awake for the run and lets it sleep again", async () => {
  const client = (await startCronServer()).client();
  const agent = client.vm.getOrCreate("sleeper");
  const mark = `1.${process.pid}`;
  // An awake VM has processes. A call would wake the VM, so the test counts them from outside.
  const isAsleep = () => ownDescendants().length === 0;
  // On a busy machine the VM may fall asleep only after its job.
  for (const leadMs of [2_500, 15_000, 60_000]) {
    const due = Date.now() + leadMs;
    await agent.scheduleCron({
      id: "once",
      schedule: new Date(due).toISOString(),
      action: { type: "exec", command: "sleep", args: [mark] },
    });
    await until(isAsleep);
    if (Date.now() < due) break;
    await agent.cancelCronJob("once");
  }
  await until(() => marked(mark).length > 0);
  expect(isAsleep()).toBe(false);
  await until(() => marked(mark).length === 0);
  await until(isAsleep);
  const [run] = await agent.listCronRuns("once");
  expect(run).toMatchObject({ status: "completed", exitCode: 0 });
  expect(await agent.listCronJobs()).toMatchObject([{ id: "once", nextRun: null, runCount: 1 }]);
});

test("clients cannot call the action of the alarm", async () => {
  const server = await startCronServer();
  const client = server.client();
  const agent = client.vm.getOrCreate("hostile");
  const conn = agent.connect();
  const plain = createRivetClient<Registry<{ vm: VmActor }>>({
    endpoint: server.endpoint,
    disableMetadataLookup: true,
  });
  const errors = await Promise.all(
    [agent, conn, plain.vm.getOrCreate("hostile")].map((vm) =>
      failure(vm.action({ name: "ringCron", args: [] })),
    ),
  );
  const expected = { code: "action_not_found", message: "Action not found: ringCron" };
  expect(errors).toMatchObject([expected, expected, expected]);
  await plain.dispose();
  await conn.dispose();
});
