import { expect, test } from "vitest";
import { MAX_CRON_RUNS } from "../../../src/api/limits.ts";
import { MAX_CRON_JOBS } from "../../../src/runtime/cron/limits.ts";
import { idle, startCron } from "../../support/cron.ts";
import { failure } from "../../support/until.ts";

const START = "2026-06-01T10:00:30Z";

test("listCronJobs describes a job before and after its run and a restart", async () => {
  const vm = startCron(START, { timezone: "Europe/Berlin" });
  await vm.schedule({ id: "a", schedule: "0 13 * * *", overlap: "skip" });
  const job = {
    id: "a",
    schedule: "0 13 * * *",
    action: { type: "exec", command: "echo" },
    overlap: "skip",
    timezone: "Europe/Berlin",
    catchUp: "once",
    nextRun: Date.parse("2026-06-01T11:00:00Z"),
    lastRun: null,
    runCount: 0,
    running: false,
    paused: false,
  };
  expect(await vm.cron.listCronJobs()).toEqual([job]);
  await vm.advanceTo("2026-06-01T11:00:00Z");
  const next = await vm.restart();
  expect(await next.cron.listCronJobs()).toEqual([
    {
      ...job,
      nextRun: Date.parse("2026-06-02T11:00:00Z"),
      lastRun: Date.parse("2026-06-01T11:00:00Z"),
      runCount: 1,
    },
  ]);
});

test("scheduling a known id replaces the job and its alarm", async () => {
  const vm = startCron(START);
  await vm.schedule({ id: "a", schedule: "@hourly" });
  expect(vm.alarm).toBe(Date.parse("2026-06-01T11:00:00Z"));
  await vm.schedule({ id: "a", schedule: "@yearly" });
  expect(vm.alarm).toBe(Date.parse("2027-01-01T00:00:00Z"));
  expect((await vm.cron.listCronJobs()).map(({ id, schedule }) => [id, schedule])).toEqual([
    ["a", "@yearly"],
  ]);
});

test("a job without an id gets a UUID", async () => {
  expect(await startCron(START).schedule({ schedule: "@hourly" })).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
});

test("maxRuns ends a job, startAt and stopAt bound it", async () => {
  const vm = startCron(START, { timezone: "Europe/Berlin" });
  await vm.schedule({ id: "two", schedule: "* * * * *", maxRuns: 2 });
  await vm.schedule({
    id: "between",
    schedule: "* * * * *",
    startAt: "2026-06-01T12:03:00",
    stopAt: "2026-06-01T10:05:00Z",
  });
  await vm.advanceTo("2026-06-01T10:30:00Z");
  expect(await vm.history("two")).toEqual([
    "2026-06-01T10:01:00Z completed",
    "2026-06-01T10:02:00Z completed",
  ]);
  expect(await vm.history("between")).toEqual([
    "2026-06-01T10:03:00Z completed",
    "2026-06-01T10:04:00Z completed",
  ]);
  expect(vm.alarm).toBe(null);
  expect((await vm.cron.listCronJobs()).map(({ nextRun }) => nextRun)).toEqual([null, null]);
});

test("a paused job skips its ticks", async () => {
  const vm = startCron(START);
  await vm.schedule({ id: "a", schedule: "* * * * *", enabled: false, catchUp: "all" });
  expect(vm.alarm).toBe(null);
  const next = await vm.restart("2026-06-01T10:05:30Z");
  expect((await next.cron.listCronJobs())[0]).toMatchObject({ paused: true, nextRun: null });
  await next.cron.resumeCronJob("a");
  await next.advanceTo("2026-06-01T10:06:30Z");
  await next.cron.pauseCronJob("a");
  await next.advanceTo("2026-06-01T10:08:30Z");
  expect(await next.history()).toEqual(["2026-06-01T10:06:00Z completed"]);
});

test("jitter delays each run, never past the next tick, and is equal after a restart", async () => {
  const vm = startCron("2026-06-01T10:00:00Z");
  await vm.schedule({ id: "a", schedule: "* * * * *", jitterSeconds: 3600 });
  const delays: number[] = [];
  for (let minute = 1; minute <= 20; minute++) {
    const { alarm } = await vm.restart();
    expect(vm.alarm).toBe(alarm);
    const delay = (vm.alarm ?? 0) - Date.parse("2026-06-01T10:00:00Z") - minute * 60_000;
    expect(delay).toBeGreaterThanOrEqual(0);
    expect(delay).toBeLessThan(60_000);
    delays.push(delay);
    await vm.advanceTo(vm.alarm ?? 0);
  }
  expect(new Set(delays).size).toBeGreaterThan(15);
  expect((await vm.history()).length).toBe(20);
});

test("refuses a 1,001st job, unless a job is over", async () => {
  const vm = startCron(START);
  await vm.schedule({ id: "over", schedule: "2026-06-01T10:01:00Z" });
  for (let index = 1; index < MAX_CRON_JOBS; index++) await vm.schedule({ schedule: "@yearly" });
  expect(await failure(vm.schedule({ schedule: "@yearly" }))).toMatchObject({
    code: "limit_exceeded",
    message: "Cron job limit reached (MAX_CRON_JOBS = 1000). Cancel a job first.",
  });
  await vm.advanceTo("2026-06-01T10:02:00Z");
  await vm.schedule({ id: "new", schedule: "@yearly" });
  const jobs = await (await vm.restart()).cron.listCronJobs();
  expect([jobs.length, jobs[0]?.id === "over", jobs.at(-1)?.id]).toEqual([MAX_CRON_JOBS, false, "new"]);
});

test("refuses a job that is too large, never due or has an invalid time", async () => {
  const vm = startCron(START);
  const exec = { type: "exec", command: "x" } as const;
  const refused = async (options: Partial<Parameters<typeof vm.cron.scheduleCron>[0]>) =>
    (await failure(vm.cron.scheduleCron({ schedule: "@daily", action: exec, ...options }))).message;
  expect(await refused({ action: { type: "exec", command: "x".repeat(30_000) } })).toMatch(
    /^The cron job has \d+ bytes as JSON \(MAX_CRON_JOB_BYTES = 24576\)\. Shorten its command or prompt\.$/,
  );
  expect(await refused({ startAt: "soon" })).toBe('Expected `startAt` to be an ISO timestamp, got "soon"');
  expect(await refused({ stopAt: "2020-01-01" })).toBe('Schedule "@daily" never comes due.');
  expect(await vm.cron.listCronJobs()).toEqual([]);
});

test("listCronRuns pages through the newest 1,000 runs", async () => {
  const vm = startCron(START);
  const id = await vm.schedule({ schedule: "@yearly" });
  for (let run = 1; run <= MAX_CRON_RUNS + 200; run++) await vm.cron.runCronJob(id);
  await idle();
  const next = await vm.restart();
  const runs = await next.cron.listCronRuns(undefined, { limit: 1000 });
  expect([runs.length, runs[0]?.runId, runs.at(-1)?.runId]).toEqual([1000, "run-1200", "run-201"]);
  const page = await next.cron.listCronRuns(id, { limit: 2, before: "run-1100" });
  expect(page.map(({ runId }) => runId)).toEqual(["run-1099", "run-1098"]);
  expect((await next.store.list("cron/run/")).length).toBeLessThan(1100);
  expect(await failure(next.cron.listCronRuns(undefined, { before: "x" }))).toMatchObject({
    message: 'Expected `before` to be the id of a run, got "x"',
  });
});
