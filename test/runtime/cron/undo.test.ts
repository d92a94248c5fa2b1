import { expect, test } from "vitest";
import { cronKey } from "../../../src/runtime/store/keys.ts";
import { encodeJson, MemoryStore } from "../../../src/runtime/store/store.ts";
import { idle, startCron, type TestCron } from "../../support/cron.ts";
import { type Fault, faultyStore } from "../../support/faulty-store.ts";
import { failure } from "../../support/until.ts";

const NOON = "2030-01-01T12:00:00Z";

/** A room with the hourly job `a`, whose store can fail. */
async function hourly(options: Partial<Parameters<TestCron["schedule"]>[0]> = {}) {
  const store = new MemoryStore();
  const put = store.put.bind(store);
  const disk = { isFull: false };
  const alarm = { ready: Promise.resolve() };
  store.put = async (entries) => {
    if (disk.isFull) throw new Error("ENOSPC");
    await put(entries);
  };
  const machine = startCron(NOON, { store, beforeAlarm: () => alarm.ready });
  await machine.schedule({ id: "a", schedule: "0 * * * *", ...options });
  /** Runs a call while the store fails. */
  const fails = async (call: () => Promise<unknown>) => {
    disk.isFull = true;
    expect(await failure(call())).toMatchObject({ message: "ENOSPC" });
    disk.isFull = false;
  };
  const job = async () => (await machine.cron.listCronJobs())[0];
  return { machine, alarm, disk, fails, job };
}

test("a job whose pause was not stored fires on", async () => {
  const { machine, fails, job } = await hourly();
  const before = await job();
  await fails(() => machine.cron.pauseCronJob("a"));
  expect(await job()).toEqual(before);
  await machine.advanceTo("2030-01-01T13:30:00Z");
  expect(await machine.history()).toEqual(["2030-01-01T13:00:00Z completed"]);
});

test("two pauses at once that were not stored leave the job as it was", async () => {
  const { machine, fails, job } = await hourly();
  const { cron } = machine;
  await fails(async () => {
    const [first, second] = await Promise.allSettled([cron.pauseCronJob("a"), cron.pauseCronJob("a")]);
    expect(second.status).toBe("rejected");
    if (first.status === "rejected") throw first.reason;
  });
  expect(await job()).toMatchObject({ paused: false });
});

test("a job whose resumption was not stored stays paused, with its queue and the time of its pause", async () => {
  const { machine, fails, job } = await hourly({ overlap: "queue", command: "hold" });
  const { cron } = machine;
  await cron.runCronJob("a");
  await cron.runCronJob("a");
  await cron.pauseCronJob("a");
  machine.release();
  await expect.poll(async () => (await job())?.running).toBe(false);
  const before = await job();
  machine.setClock("2030-01-01T15:30:00Z");
  await fails(() => cron.resumeCronJob("a"));
  expect(await job()).toEqual(before);
  const stored = await machine.restart();
  expect(await stored.cron.listCronJobs()).toEqual([before]);
  await cron.resumeCronJob("a");
  expect(await job()).toMatchObject({ paused: false, running: true, runCount: 2 });
});

test("a run that was not stored did not happen", async () => {
  const { machine, fails, job } = await hourly({ maxRuns: 2 });
  const before = await job();
  await fails(() => machine.cron.runCronJob("a"));
  expect(await job()).toEqual(before);
  expect(machine.ran).toEqual([]);
  expect(await machine.history()).toEqual([]);
});

test("a tick that was not stored runs when the jobs are looked at again, once", async () => {
  const { machine, fails } = await hourly({ catchUp: "all" });
  machine.setClock("2030-01-01T13:00:00Z");
  await fails(() => machine.cron.ring());
  expect(machine.ran).toEqual([]);
  await machine.advanceTo("2030-01-01T14:30:00Z");
  expect(machine.ran).toHaveLength(2);
  expect(await machine.history()).toEqual([
    "2030-01-01T13:00:00Z completed",
    "2030-01-01T14:00:00Z completed",
  ]);
});

test("a change that was not stored while the alarm of a stored tick is slow leaves the tick", async () => {
  const { machine, alarm, fails, job } = await hourly();
  const slow = Promise.withResolvers<void>();
  alarm.ready = slow.promise;
  machine.setClock("2030-01-01T13:00:00Z");
  const rung = machine.cron.ring();
  await idle();
  await fails(() => machine.cron.runCronJob("a"));
  slow.resolve();
  await rung;
  await idle();
  await machine.cron.ring();
  await idle();
  expect(machine.ran).toHaveLength(1);
  expect(await job()).toMatchObject({ runCount: 1, nextRun: Date.parse("2030-01-01T14:00:00Z") });
  expect(await machine.history()).toEqual(["2030-01-01T13:00:00Z completed"]);
});

test("a failed change of a job that an earlier server stored with fewer members is undone", async () => {
  const { machine, disk } = await hourly();
  const state = { cursor: Date.parse(NOON), runCount: 0, spans: [], pending: [] };
  await machine.store.put([[cronKey("state", 1), encodeJson(state)]]);
  const { cron } = await machine.restart();
  disk.isFull = true;
  expect(await failure(cron.pauseCronJob("a"))).toMatchObject({ message: "ENOSPC" });
  expect(await failure(cron.runCronJob("a"))).toMatchObject({ message: "ENOSPC" });
  expect(await cron.listCronJobs()).toMatchObject([{ paused: false, lastRun: null, runCount: 0 }]);
});

/** A room with the hourly job `a`, whose store fails the next call of a method, or loses its answer. */
async function forgetful() {
  const next: { error?: string; lost?: string } = {};
  const fault = (_: number, method: string): Fault => {
    for (const kind of ["error", "lost"] as const) {
      if (next[kind] !== method) continue;
      delete next[kind];
      return kind;
    }
    return "none";
  };
  const machine = startCron(NOON, { store: faultyStore(new MemoryStore(), fault) });
  await machine.schedule({ id: "a", schedule: "0 * * * *" });
  return { machine, next };
}

test("a tick whose answer of the store was lost runs later, also after a restart", async () => {
  const { machine, next } = await forgetful();
  machine.setClock("2030-01-01T13:00:00Z");
  next.lost = "put";
  expect(await failure(machine.cron.ring())).toMatchObject({ message: "put failed" });
  expect(await machine.history()).toEqual([]);
  const after = await machine.restart();
  expect(after.ran).toHaveLength(1);
  expect(await after.history()).toEqual(["2030-01-01T13:00:00Z completed"]);
});

test("a job whose cancellation failed is there after a restart too, and fires", async () => {
  const { machine, next } = await forgetful();
  next.lost = "delete";
  expect(await failure(machine.cron.cancelCronJob("a"))).toMatchObject({ message: "delete failed" });
  expect(machine.alarm).toBe(Date.parse("2030-01-01T13:00:00Z"));
  const after = await machine.restart();
  expect(await after.cron.listCronJobs()).toEqual(await machine.cron.listCronJobs());
});

test("a job that was scheduled during a failed cancellation is gone when it is cancelled, also after a restart", async () => {
  const { machine, next } = await forgetful();
  next.error = "delete";
  const cancelled = failure(machine.cron.cancelCronJob("a"));
  await machine.schedule({ id: "a", schedule: "30 * * * *" });
  expect(await cancelled).toMatchObject({ message: "delete failed" });
  await machine.cron.cancelCronJob("a");
  await machine.cron.settled();
  expect(await machine.cron.listCronJobs()).toEqual([]);
  const after = await machine.restart();
  expect(await after.cron.listCronJobs()).toEqual([]);
});
