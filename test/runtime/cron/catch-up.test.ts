import { expect, test } from "vitest";
import type { CronCatchUp } from "../../../src/api/methods/cron-types.ts";
import { idle, startCron } from "../../support/cron.ts";

test("every tick runs once, and the alarm is always the next one", async () => {
  const vm = startCron("2026-06-01T10:00:30Z");
  await vm.schedule({ schedule: "*/5 * * * *" });
  expect(vm.alarm).toBe(Date.parse("2026-06-01T10:05:00Z"));
  await vm.advanceTo("2026-06-01T10:16:00Z");
  expect(await vm.history()).toEqual([
    "2026-06-01T10:05:00Z completed",
    "2026-06-01T10:10:00Z completed",
    "2026-06-01T10:15:00Z completed",
  ]);
  expect(vm.alarm).toBe(Date.parse("2026-06-01T10:20:00Z"));
});

test.each<[CronCatchUp, string[]]>([
  ["none", ["2026-06-01T12:30:00Z missed (not_running 6)"]],
  ["once", ["2026-06-01T12:00:00Z missed (not_running 5)", "2026-06-01T12:30:00Z completed"]],
  [
    "all",
    ["10:00", "10:30", "11:00", "11:30", "12:00", "12:30"].map((time) => `2026-06-01T${time}:00Z completed`),
  ],
])("ticks that came while nothing ran, with catchUp %s", async (catchUp, expected) => {
  const vm = startCron("2026-06-01T09:45:00Z");
  await vm.schedule({ schedule: "*/30 * * * *", catchUp });
  const next = await vm.restart("2026-06-01T12:45:00Z");
  expect(await next.history()).toEqual(expected);
  await next.cron.ring();
  await idle();
  expect(await next.history()).toEqual(expected);
  expect(next.alarm).toBe(Date.parse("2026-06-01T13:00:00Z"));
});

test("a tick on time also counts for missed ticks before it", async () => {
  const vm = startCron("2026-06-01T09:45:00Z");
  await vm.schedule({ schedule: "*/30 * * * *" });
  const next = await vm.restart(Date.parse("2026-06-01T11:00:00Z") + 200);
  expect(await next.history()).toEqual([
    "2026-06-01T10:30:00Z missed (not_running 2)",
    "2026-06-01T11:00:00Z completed",
  ]);
});

test("catch-up runs at most the newest 100 ticks", async () => {
  const vm = startCron("2026-06-01T00:00:00Z");
  await vm.schedule({ id: "all", schedule: "* * * * * *", catchUp: "all" });
  await vm.schedule({ id: "once", schedule: "* * * * * *", catchUp: "once" });
  const next = await vm.restart("2031-06-01T00:00:00Z");
  await expect.poll(async () => (await next.history("all")).length).toBe(100);
  expect((await next.history("all"))[0]).toBe("2031-05-31T23:58:21Z completed");
  expect((await next.history("all")).at(-1)).toBe("2031-06-01T00:00:00Z completed");
  expect(next.ran.length).toBe(101);
});

test("catch-up runs are queued and survive another restart", async () => {
  const vm = startCron("2026-06-01T09:45:00Z");
  await vm.schedule({ schedule: "*/30 * * * *", catchUp: "all", overlap: "skip", command: "hold" });
  const second = await vm.restart("2026-06-01T11:10:00Z");
  expect(second.ran).toEqual(["hold"]);
  second.release();
  await idle();
  expect(second.ran).toEqual(["hold", "hold"]);
  const third = await second.restart();
  expect(third.ran).toEqual(["hold"]);
  third.release();
  await idle();
  expect(await third.history()).toEqual([
    "2026-06-01T10:00:00Z completed",
    "2026-06-01T10:30:00Z failed (vm_stopped)",
    "2026-06-01T11:00:00Z completed",
  ]);
});
