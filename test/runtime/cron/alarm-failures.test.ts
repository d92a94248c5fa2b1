import { expect, test } from "vitest";
import { idle, startCron } from "../../support/cron.ts";
import { failure } from "../../support/until.ts";

const NOON = "2030-01-01T12:00:00Z";

/** A room with the hourly job `a`, whose alarm can fail. */
async function hourly() {
  const alarm: { set: () => Promise<void> } = { set: async () => undefined };
  const machine = startCron(NOON, { beforeAlarm: () => alarm.set() });
  await machine.schedule({ id: "a", schedule: "0 * * * *" });
  /** Runs a call while no alarm can be set. */
  const fails = async (call: () => Promise<unknown>) => {
    alarm.set = () => Promise.reject(new Error("no alarm"));
    expect(await failure(call())).toMatchObject({ message: "no alarm" });
    alarm.set = async () => undefined;
    await idle();
  };
  /** The jobs and runs, which a room over the same store has too. */
  const agreed = async () => {
    const of = async ({ cron }: typeof machine) => ({
      jobs: await cron.listCronJobs(),
      runs: await cron.listCronRuns(),
    });
    const found = await of(machine);
    expect(await of(startCron(machine.now(), { store: machine.store }))).toEqual(found);
    return found;
  };
  return { machine, alarm, fails, agreed };
}

test("a job whose pause was stored without its alarm is paused", async () => {
  const { machine, fails, agreed } = await hourly();
  await fails(() => machine.cron.pauseCronJob("a"));
  expect(await agreed()).toMatchObject({ jobs: [{ paused: true }] });
});

test("a tick that was stored without the next alarm runs once", async () => {
  const { machine, fails, agreed } = await hourly();
  machine.setClock("2030-01-01T13:00:00Z");
  await fails(() => machine.cron.ring());
  await machine.cron.ring();
  await idle();
  expect(machine.ran).toHaveLength(1);
  expect(machine.alarm).toBe(Date.parse("2030-01-01T14:00:00Z"));
  expect(await agreed()).toMatchObject({ jobs: [{ runCount: 1 }], runs: [{ status: "completed" }] });
});

test("a job whose cancellation was stored without its alarm is gone", async () => {
  const { machine, fails, agreed } = await hourly();
  await fails(() => machine.cron.cancelCronJob("a"));
  expect(await agreed()).toEqual({ jobs: [], runs: [] });
});

test("a job that was scheduled without its alarm is not there, and the job that it replaced is", async () => {
  const { machine, fails, agreed } = await hourly();
  const before = await agreed();
  await fails(() => machine.schedule({ id: "a", schedule: "30 * * * *" }));
  await fails(() => machine.schedule({ id: "b", schedule: "0 * * * *" }));
  expect(await agreed()).toEqual(before);
});

test.each(["a", "b"])(
  "a later change of the job %s stays when the alarm of an earlier one fails",
  async (id) => {
    const { machine, alarm, agreed } = await hourly();
    const slow = Promise.withResolvers<void>();
    alarm.set = () => slow.promise;
    const first = failure(machine.schedule({ id, schedule: "10 * * * *" }));
    await idle();
    alarm.set = async () => undefined;
    await machine.schedule({ id, schedule: "20 * * * *" });
    slow.reject(new Error("no alarm"));
    expect(await first).toMatchObject({ message: "no alarm" });
    const { jobs } = await agreed();
    expect(jobs.find((job) => job.id === id)).toMatchObject({ schedule: "20 * * * *" });
  },
);

test("a job that was cancelled stays so when the alarm of its earlier change fails", async () => {
  const { machine, alarm, agreed } = await hourly();
  const slow = Promise.withResolvers<void>();
  alarm.set = () => slow.promise;
  const first = failure(machine.schedule({ id: "a", schedule: "10 * * * *" }));
  await idle();
  alarm.set = async () => undefined;
  await machine.cron.cancelCronJob("a");
  slow.reject(new Error("no alarm"));
  expect(await first).toMatchObject({ message: "no alarm" });
  expect(await agreed()).toEqual({ jobs: [], runs: [] });
});

const orders = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];
test.each(["a", "b"].flatMap((id) => orders.map((order) => ({ id, order }))))(
  "changes of the job $id whose alarms fail in the order $order leave the jobs as they were",
  async ({ id, order }) => {
    const { machine, alarm, agreed } = await hourly();
    const before = await agreed();
    const alarms: PromiseWithResolvers<void>[] = [];
    alarm.set = () => {
      const set = Promise.withResolvers<void>();
      alarms.push(set);
      return set.promise;
    };
    const calls = ["10 * * * *", "20 * * * *", "30 * * * *"].map((schedule) =>
      failure(machine.schedule({ id, schedule, command: "wrong" })),
    );
    await idle();
    alarm.set = async () => undefined;
    for (const call of order) {
      alarms[call]?.reject(new Error("no alarm"));
      expect(await calls[call]).toMatchObject({ message: "no alarm" });
      await idle();
    }
    expect(await agreed()).toEqual(before);
    await machine.advanceTo("2030-01-01T13:45:00Z");
    expect(machine.ran).toEqual(["echo"]);
  },
);

test("a job is there when its change and then the cancellation of the change fail", async () => {
  const { machine, alarm, agreed } = await hourly();
  const before = await agreed();
  const slow = Promise.withResolvers<void>();
  const remove = machine.store.delete.bind(machine.store);
  alarm.set = () => slow.promise;
  const changed = failure(machine.schedule({ id: "a", schedule: "10 * * * *", command: "wrong" }));
  await idle();
  const deleting = Promise.withResolvers<void>();
  machine.store.delete = () => deleting.promise;
  const cancelled = failure(machine.cron.cancelCronJob("a"));
  await idle();
  alarm.set = async () => undefined;
  slow.reject(new Error("no alarm"));
  await idle();
  machine.store.delete = remove;
  deleting.reject(new Error("no disk"));
  expect(await changed).toMatchObject({ message: "no alarm" });
  expect(await cancelled).toMatchObject({ message: "no disk" });
  expect(await agreed()).toEqual(before);
});
