// @module-tag slow
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, server, open } = consoleTest();
const MACHINES = 1000;

/** Longest pause between two frames, and the median, while the page scrolls through a list. */
async function scroll(page: Page, selector: string): Promise<{ longest: number; median: number }> {
  return await page.locator(selector).evaluate(async (element) => {
    const times: number[] = [];
    let last = performance.now();
    for (let step = 0; step < 90; step++) {
      element.scrollTop = (element.scrollHeight * ((step * 37) % 90)) / 90;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      times.push(now - last);
      last = now;
    }
    const sorted = times.toSorted((a, b) => a - b);
    return { longest: sorted.at(-1) ?? 0, median: sorted[45] ?? 0 };
  });
}

test("1,000 machines and 100,000 lines of output scroll smoothly", async (context) => {
  const { client } = server();
  const maker = client();
  for (let first = 0; first < MACHINES; first += 50)
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => maker.vm.create(["many", String(first + n).padStart(4, "0")])),
    );
  const page = await open(context);
  await page.getByText(`${MACHINES} of ${MACHINES}`).waitFor({ timeout: 60_000 });
  const machines = await scroll(page, ".virtual");
  expect(await page.getByRole("listitem").count()).toBeLessThan(60);
  await page.getByLabel("Search machines").fill("0999");
  await expect.poll(() => page.getByRole("listitem").count()).toBe(1);

  const { pid } = await vm("lines").spawn("sh", ["-c", "sleep 4; seq 1 100000; sleep 1000"]);
  await page.goto(`${page.url().split("#")[0]}#/vm/vm/processes/lines`);
  await page
    .getByRole("listitem")
    .filter({ hasText: "seq 1" })
    .getByRole("button", { name: "Output" })
    .click();
  await page
    .getByRole("region", { name: `Output of process ${pid}` })
    .getByText("100000 lines")
    .waitFor();
  await page.getByText("100000", { exact: true }).waitFor();
  const lines = await scroll(page, "[role=log]");
  // A frame of 60 a second takes 17 ms. A busy test machine may miss some.
  for (const { median, longest } of [machines, lines]) {
    expect(median).toBeLessThan(50);
    expect(longest).toBeLessThan(500);
  }
});
