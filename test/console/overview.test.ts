// @module-tag slow
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, open, shoot } = consoleTest();

test("the page of use shows limits as meters and draws charts", async (context) => {
  await vm("use").spawn("sh", ["-c", "while :; do :; done"]);
  const page = await open(context, { at: "#/vm/vm/overview/use", scheme: "dark" });
  const memory = page.getByRole("meter", { name: "Memory" });
  await expect.poll(() => memory.getAttribute("aria-valuetext")).toMatch(/[kM]B of 2.1 GB/);
  const chart = page.getByRole("figure").filter({ hasText: "CPUs in use" });
  // The value that a screen reader reads is the newest of the chart.
  await expect.poll(() => chart.innerText()).toMatch(/(0\.[1-9]|1\.)/);
  expect(await chart.locator("canvas").count()).toBe(1);
  await shoot(page, "use");
});

test("the log page shows events from before it was opened, and new ones as they come", async (context) => {
  const { pid } = await vm("log").spawn("true");
  await vm("log").waitProcess(pid);
  const page = await open(context, { at: "#/vm/vm/log/log" });
  const log = page.getByRole("log", { name: "Events" });
  await log.getByText("vmBooted").waitFor();
  await log.getByText(`"pid":${pid},`).waitFor();
  const { pid: next } = await vm("log").spawn("false");
  await log.getByText(`"pid":${next},`).waitFor();
  expect(await log.getByText(`"pid":${pid},`).count()).toBe(1);
  await shoot(page, "log");
  await log.getByText("vmBooted").click();
  await page.getByRole("dialog").getByText("{}").waitFor();
  await page.keyboard.press("Escape");
  await vm("log").sleep();
  await log.getByText("vmShutdown").waitFor();
  // A page of a machine that sleeps has the log too, and wakes nothing.
  await page.reload();
  await log.getByText(`"pid":${next},`).waitFor();
  await page.getByRole("tab", { name: "Use" }).click();
  await page.getByText("Asleep · generation 1").waitFor();
  await expect
    .poll(() => page.getByRole("meter", { name: "Number of files" }).getAttribute("aria-valuetext"))
    .toMatch(/^\d+ of 200,000$/);
  expect((await vm("log").status()).state).toBe("sleeping");
});
