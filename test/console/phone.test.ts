// @module-tag slow
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";
import { open as openSession } from "../support/scripted.ts";

const { vm, open, shoot } = consoleTest();
const SIZES = [
  { width: 360, height: 740, scheme: "light" },
  { width: 390, height: 780, scheme: "dark" },
] as const;

/** Returns the elements that reach beyond the page's right edge and are not in a part that scrolls by itself. */
async function overflowing(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const clips = (element: Element | null): boolean =>
      element !== null &&
      element !== document.body &&
      (getComputedStyle(element).overflowX !== "visible" || clips(element.parentElement));
    const found = [...document.querySelectorAll("body *")].filter(
      (element) => element.getBoundingClientRect().right > width + 1 && !clips(element.parentElement),
    );
    const isWide = document.documentElement.scrollWidth > width ? ["the page scrolls sideways"] : [];
    return [...isWide, ...found.slice(0, 5).map((element) => element.outerHTML.slice(0, 120))];
  });
}

test("every page fits the width of a phone, light and dark", async (context) => {
  const key = ["team", "a-machine-with-quite-a-long-name"];
  const phone = vm(key);
  await phone.setLabels({ tier: "free", owner: "somebody@example.com" });
  await phone.writeFiles([
    {
      path: "/workspace/src/a-file-with-quite-a-long-name-for-a-phone.ts",
      content: "export const a = 1;\n".repeat(40),
    },
    { path: "/workspace/README.md", content: "# Read me\n" },
  ]);
  await phone.createSnapshot("before a change with a long name");
  await phone.writeFile("/workspace/README.md", "# Read me again\n");
  await phone.createSnapshot();
  await phone.writeFile("/workspace/README.md", "# Read me now\n");
  await phone.spawn("sh", ["-c", "echo a line of output; exec sleep 1000"]);
  await phone.scheduleCron({
    id: "backup",
    schedule: "0 3 * * *",
    action: { type: "exec", command: "echo stored everything in a long line of output" },
  });
  await phone.runCronJob("backup");
  await phone.prompt(
    await openSession(phone),
    "say **hello** from an agent with some text that is longer than a line of a phone",
  );
  const at = (tab: string) => `#/vm/vm/${tab}/${key.join("/")}`;
  for (const { scheme, ...size } of SIZES) {
    const page = await open(context, { size, scheme });
    await page.getByRole("link", { name: "a-machine" }).waitFor();
    const check = async (name: string) => {
      await page.waitForLoadState("networkidle");
      expect({ name, scheme, overflowing: await overflowing(page) }).toEqual({
        name,
        scheme,
        overflowing: [],
      });
      await shoot(page, `phone-${name}-${scheme}`);
    };
    await check("machines");
    await page.getByRole("button", { name: "New machine" }).click();
    await page.getByText("Options").click();
    await check("create");
    await page.keyboard.press("Escape");
    const go = async (tab: string) => {
      await page.goto(`${page.url().split("#")[0]}${at(tab)}`);
      await page.getByRole("tab", { selected: true }).waitFor();
    };
    await go("overview");
    await page.getByRole("figure").first().waitFor();
    await check("use");
    await go("terminal");
    // The second visitor finds the shell of the first one.
    if (scheme === "light") await page.getByRole("button", { name: "Open a terminal" }).click();
    await page.locator(".xterm-rows").getByText("$").first().waitFor();
    await check("terminal");
    await go("files");
    await page.getByRole("treeitem", { name: "README.md" }).click();
    await page.getByText("Read me now").waitFor();
    await check("files");
    await page.getByRole("button", { name: "Changes" }).click();
    await page.getByRole("listitem").filter({ hasText: "README.md" }).waitFor();
    await check("changes");
    await go("processes");
    await page.getByRole("button", { name: "Output" }).first().click();
    await page.getByText("a line of output", { exact: true }).waitFor();
    await check("processes");
    await go("sessions");
    await page.getByText("hello").first().waitFor();
    await check("sessions");
    await go("network");
    await check("network");
    await go("cron");
    await page.getByRole("group").filter({ hasText: "completed 0" }).first().click();
    await check("cron");
    await go("snapshots");
    await page.getByRole("button", { name: "Compare" }).last().click();
    await page.getByRole("button", { name: "/workspace/README.md" }).click();
    await page.getByRole("textbox", { name: "/workspace/README.md, changes" }).waitFor();
    await check("snapshots");
    await go("log");
    await page.getByText("vmBooted").waitFor();
    await check("log");
    await go("methods");
    await page.getByRole("button", { name: /^exec\(/ }).click();
    await check("methods");
    await page.close();
  }
}, 240_000);
