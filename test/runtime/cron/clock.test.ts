import { expect, test } from "vitest";
import { idle, startCron } from "../../support/cron.ts";

test("a clock that goes back runs no tick twice, and later ticks run", async () => {
  const vm = startCron("2026-06-01T10:00:30Z");
  await vm.schedule({ schedule: "* * * * *" });
  await vm.advanceTo("2026-06-01T10:03:30Z");
  vm.setClock("2026-06-01T10:01:30Z");
  await vm.cron.ring();
  await vm.advanceTo("2026-06-01T10:05:30Z");
  expect(await vm.history()).toEqual(
    ["10:01", "10:02", "10:03", "10:04", "10:05"].map((time) => `2026-06-01T${time}:00Z completed`),
  );
});

test("a clock that was a year ahead and is set back neither stalls a job nor repeats a tick", async () => {
  const vm = startCron("2026-06-01T10:00:30Z");
  await vm.schedule({ schedule: "0 * * * *" });
  await vm.advanceTo("2026-06-01T11:30:00Z");
  vm.setClock("2027-06-01T10:30:00Z");
  await vm.cron.ring();
  await idle();
  await vm.advanceTo("2027-06-01T11:30:00Z");
  vm.setClock("2026-06-01T11:31:00Z");
  await vm.cron.ring();
  expect(vm.alarm).toBe(Date.parse("2026-06-01T12:00:00Z"));
  await vm.advanceTo("2026-06-01T13:30:00Z");
  const next = await vm.restart("2027-06-01T09:30:00Z");
  await next.advanceTo("2027-06-01T13:30:00Z");
  expect(await next.history()).toEqual([
    "2026-06-01T11:00:00Z completed",
    expect.stringMatching(/^2027-06-01T09:00:00Z missed/),
    "2027-06-01T10:00:00Z completed",
    "2027-06-01T11:00:00Z completed",
    "2026-06-01T12:00:00Z completed",
    "2026-06-01T13:00:00Z completed",
    expect.stringMatching(/^2027-06-01T08:00:00Z missed/),
    "2027-06-01T09:00:00Z completed",
    "2027-06-01T12:00:00Z completed",
    "2027-06-01T13:00:00Z completed",
  ]);
});

test("a clock that jumps ahead a little loses no tick", async () => {
  const vm = startCron("2026-06-01T10:00:00Z");
  await vm.schedule({ schedule: "* * * * * *", catchUp: "none" });
  vm.setClock("2026-06-01T10:00:05Z");
  await vm.cron.ring();
  await idle();
  expect((await vm.history()).length).toBe(5);
});
