// @module-tag slow
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, open, shoot } = consoleTest();

test("the page of use shows limits as meters and draws charts, and the log page shows events as they come", async (context) => {
  await vm("use").spawn("sh", ["-c", "while :; do :; done"]);
  const page = await open(context, { at: "#/vm/vm/overview/use", scheme: "dark" });
  const memory = page.getByRole("meter", { name: "Memory" });
  await expect.poll(() => memory.getAttribute("aria-valuetext")).toMatch(/[kM]B of 2.1 GB/);
  const chart = page.getByRole("figure").filter({ hasText: "CPUs in use" });
  // The value that a screen reader reads is the newest of the chart.
  await expect.poll(() => chart.innerText(), { timeout: 30_000 }).toMatch(/(0\.[1-9]|1\.)/);
  expect(await chart.locator("canvas").count()).toBe(1);
  await shoot(page, "use");
  await page.getByRole("tab", { name: "Log" }).click();
  await page.getByText("Events appear here").waitFor();
  await expect
    .poll(async () => {
      await vm("use").execArgv("true");
      await vm("use").spawn("true");
      return await page.getByText("processExit").count();
    })
    .toBeGreaterThan(0);
  await shoot(page, "log");
});
