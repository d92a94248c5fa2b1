// @module-tag slow
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, open, shoot } = consoleTest();

test("the cron page schedules, runs, pauses and deletes jobs, and shows the output of their runs", async (context) => {
  await vm("cron").exists("/");
  const page = await open(context, { at: "#/vm/vm/cron/cron" });
  await page.getByRole("button", { name: "New job" }).click();
  await page.getByLabel("Id (a job").fill("backup");
  await page.getByLabel("Schedule: a cron").fill("0 3 * * *");
  await page.getByRole("textbox", { name: "Command" }).fill("echo stored everything");
  await page.getByRole("button", { name: "Schedule" }).click();
  const job = page.getByRole("listitem").filter({ hasText: "backup" });
  await job.getByText("next in").waitFor();
  await job.getByRole("button", { name: "Run now" }).click();
  const run = page.getByRole("group").filter({ hasText: "completed 0" });
  await run.getByText("backup").click();
  await run.getByText("stored everything").waitFor();
  await shoot(page, "cron");
  await job.getByRole("button", { name: "Pause" }).click();
  await job.getByText("paused").waitFor();
  expect(await vm("cron").listCronJobs()).toMatchObject([{ id: "backup", paused: true }]);
  await job.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await job.waitFor({ state: "detached" });
});
