// @module-tag slow
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, open, shoot } = consoleTest();

test("the process page shows a tree with CPU, memory and live output, and sends signals", async (context) => {
  const busy = await vm("proc").spawn("sh", [
    "-c",
    "while :; do :; done & echo started; i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.2; done",
  ]);
  const page = await open(context, { at: "#/vm/vm/processes/proc" });
  const row = page.getByRole("listitem").filter({ hasText: "echo started" }).first();
  await row.waitFor();
  await expect
    .poll(() => page.getByRole("listitem").allInnerTexts())
    .toContainEqual(expect.stringMatching(/[1-9]\d* %/));
  await row.getByRole("button", { name: "Output" }).click();
  await page
    .getByText(/^tick \d+$/)
    .first()
    .waitFor();
  await shoot(page, "processes");
  await row.getByRole("button", { name: "Signal" }).click();
  await page.getByLabel("Signal", { exact: true }).fill("SIGKILL");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("SIGKILL", { exact: true }).waitFor();
  expect(await vm("proc").getProcess(busy.pid)).toMatchObject({ running: false, signal: "SIGKILL" });
  // A process that no method has started gets a signal too.
  const left = page
    .getByRole("listitem")
    .filter({ hasText: "echo started" })
    .filter({ hasNotText: "SIGKILL" });
  await left.getByRole("button", { name: "Signal" }).click();
  await page.getByRole("button", { name: "Send" }).click();
  await left.waitFor({ state: "detached" });

  await page.getByRole("button", { name: "Run a command" }).click();
  await page.getByRole("textbox", { name: "Command" }).fill("printf 'one\\ntwo\\n'");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByText("two", { exact: true }).waitFor();
});
