import { expect, test } from "vitest";
import type { CronOverlap } from "../../../src/api/methods/cron-types.ts";
import { idle, startCron } from "../../support/cron.ts";

test.each<[CronOverlap, number, string[]]>([
  ["allow", 3, ["10:01:00Z running", "10:02:00Z running", "10:03:00Z running"]],
  ["skip", 1, ["10:01:00Z running", "10:02:00Z skipped (overlap)", "10:03:00Z skipped (overlap)"]],
  ["queue", 1, ["10:01:00Z running", "10:03:00Z skipped (queue_full)"]],
])("while a run goes on: %s", async (overlap, started, expected) => {
  const vm = startCron("2026-06-01T10:00:30Z");
  await vm.schedule({ schedule: "* * * * *", overlap, command: "hold" });
  await vm.advanceTo("2026-06-01T10:03:30Z");
  expect(vm.ran.length).toBe(started);
  expect((await vm.history()).map((line) => line.slice(11))).toEqual(expected);
  expect((await vm.cron.listCronJobs())[0]).toMatchObject({ running: true, runCount: started });
});

test("queue starts the waiting run when the live run ends, also after a restart", async () => {
  const vm = startCron("2026-06-01T10:00:30Z");
  await vm.schedule({ schedule: "* * * * *", overlap: "queue", command: "hold" });
  await vm.advanceTo("2026-06-01T10:02:10Z");
  vm.release();
  await idle();
  expect(vm.ran.length).toBe(2);
  await vm.advanceTo("2026-06-01T10:03:10Z");
  const next = await vm.restart();
  expect(next.ran.length).toBe(1);
  next.release();
  await idle();
  expect((await next.history()).map((line) => line.slice(11))).toEqual([
    "10:01:00Z completed",
    "10:02:00Z failed (vm_stopped)",
    "10:03:00Z completed",
  ]);
});

test("runCronJob fires now, under the job's policy", async () => {
  const vm = startCron("2026-06-01T10:00:30Z");
  const id = await vm.schedule({ schedule: "@yearly", overlap: "skip", command: "hold" });
  expect(await vm.cron.runCronJob(id)).toEqual({ runId: "run-1" });
  expect(await vm.cron.runCronJob(id)).toEqual({ runId: "run-2" });
  vm.release();
  await idle();
  expect(await vm.history()).toEqual([
    "2026-06-01T10:00:30Z completed",
    "2026-06-01T10:00:30Z skipped (overlap)",
  ]);
  expect(vm.events.map(({ type, runId }) => `${type} ${runId}`)).toEqual([
    "cron:fire run-1",
    "cron:skip run-2",
    "cron:complete run-1",
  ]);
  await expect(vm.cron.runCronJob("x")).rejects.toMatchObject({
    code: "cron_job_not_found",
    message: "Cron job not found: x",
  });
});

test("a cancelled job's live run ends, and no run follows", async () => {
  const vm = startCron("2026-06-01T10:00:30Z");
  const id = await vm.schedule({ schedule: "* * * * *", command: "hold" });
  await vm.advanceTo("2026-06-01T10:01:10Z");
  await vm.cron.cancelCronJob(id);
  await vm.cron.cancelCronJob(id);
  expect(vm.alarm).toBe(null);
  vm.release();
  await idle();
  expect(await vm.history()).toEqual(["2026-06-01T10:01:00Z completed"]);
  const next = await vm.restart("2026-06-01T11:00:00Z");
  expect(await next.cron.listCronJobs()).toEqual([]);
  expect((await next.history()).length).toBe(1);
});
