// @module-tag slow
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, open, shoot } = consoleTest();

const screenOf = (page: Page) => page.locator(".xterm-rows").innerText();
const sees = (page: Page, text: string | RegExp) => expect.poll(() => screenOf(page)).toMatch(text);

test("a terminal takes keys, outlives a reload with what it showed, and several people see it", async (context) => {
  await vm("term").exists("/");
  const page = await open(context, { at: "#/vm/vm/terminal/term" });
  await page.getByRole("button", { name: "Open a terminal" }).click();
  await sees(page, /\$/);
  await page.keyboard.type("echo first-$((40+2)); ls --color=always /\n");
  await sees(page, /first-42[\s\S]*workspace/);
  await shoot(page, "terminal");
  await page.keyboard.type("MARK=kept\n");

  const other = await open(context, { at: "#/vm/vm/terminal/term", profile: page.context() });
  await sees(other, /first-42/);
  await page.keyboard.type("echo both-$MARK\n");
  await sees(other, /both-kept/);
  await other.close();

  await page.reload();
  await sees(page, /first-42/);
  await page.locator(".xterm").click();
  await page.keyboard.type("echo again-$MARK\n");
  await sees(page, /again-kept/);

  await page.getByRole("button", { name: "New terminal" }).click();
  await expect.poll(() => page.getByRole("tablist", { name: "Terminals" }).getByRole("tab").count()).toBe(2);
  await sees(page, /^[^$]*\$[^$]*$/);
  await page.getByRole("tab", { name: "bash 1" }).click();
  await sees(page, /again-kept/);
  expect((await vm("term").listShells()).filter(({ running }) => running)).toHaveLength(2);

  await page.getByRole("button", { name: "Close bash 1" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await expect
    .poll(async () => (await vm("term").listShells()).filter(({ running }) => running).length)
    .toBe(1);
});

test("a terminal follows the size of the page, searches, copies and pastes", async (context) => {
  await vm("size").exists("/");
  const page = await open(context, { at: "#/vm/vm/terminal/size" });
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("button", { name: "Open a terminal" }).click();
  await sees(page, /\$/);
  const cols = async () => (await vm("size").listShells())[0]?.cols ?? 0;
  await expect.poll(cols).toBeGreaterThan(120);
  await page.setViewportSize({ width: 600, height: 700 });
  await expect.poll(cols).toBeLessThan(90);

  await page.evaluate(() => navigator.clipboard.writeText("echo pasted-$((1+1))"));
  await page.getByRole("button", { name: "Paste" }).click();
  await sees(page, /echo pasted-/);
  await page.keyboard.press("Enter");
  await sees(page, /pasted-2/);
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByLabel("Search the terminal").fill("pasted-2");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Copy" }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe("pasted-2");
});
