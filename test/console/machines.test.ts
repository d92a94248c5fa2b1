// @module-tag slow
import { expect, test } from "vitest";
import { consoleTest, PHONE } from "../support/console.ts";

const { vm, server, open, shoot } = consoleTest();

test("the list shows machines with their use, makes, forks, puts to sleep and destroys them, and wakes none", async (context) => {
  const alice = vm("alice");
  await alice.setLabels({ tier: "free" });
  await alice.spawn("sh", ["-c", "while :; do :; done"]);
  const bob = vm("bob");
  await bob.writeFile("/workspace/file", "content");
  await bob.sleep();
  const { generation } = await bob.status();
  const page = await open(context);
  const row = (name: string) => page.getByRole("listitem").filter({ hasText: name });
  await row("alice").getByText("awake").waitFor();
  await row("alice").getByText("tier=free").waitFor();
  await row("alice")
    .getByRole("img", { name: /Memory of late, now [1-9]/ })
    .waitFor();
  // A program that never pauses uses a whole CPU, which the second list shows.
  await expect.poll(() => row("alice").innerText()).toMatch(/[1-9]\d+ %/);
  await row("bob").getByText("sleeping").waitFor();

  await page.getByLabel("Search machines").fill("tier=free is:awake");
  await expect.poll(() => page.getByRole("listitem").count()).toBe(1);
  await page.getByLabel("Search machines").fill("");
  await shoot(page, "machines");

  await page.getByRole("button", { name: "New machine" }).click();
  await page.getByLabel("Name (a slash").fill("team/carol");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "team / carol" }).waitFor();
  await page.getByRole("link", { name: "agent-vm", exact: true }).click();

  await row("alice").getByRole("button", { name: "Fork" }).click();
  await page.getByLabel("Name of the new machine").fill("alice-2");
  await page.getByRole("dialog").getByRole("button", { name: "Fork" }).click();
  await row("alice-2").waitFor();
  await row("alice-2").getByRole("button", { name: "Destroy" }).click();
  const destroy = page.getByRole("dialog").getByRole("button", { name: "Destroy" });
  expect(await destroy.isDisabled()).toBe(true);
  await page.getByLabel("Type alice-2 to confirm").fill("alice-2");
  await destroy.click();
  await row("alice-2").waitFor({ state: "detached" });

  await row("alice").getByRole("button", { name: "Sleep" }).click();
  await row("alice").getByText("sleeping").waitFor();

  // Pages of a machine that sleeps boot nothing.
  for (const tab of [
    "overview",
    "terminal",
    "files",
    "processes",
    "sessions",
    "network",
    "cron",
    "snapshots",
    "log",
    "methods",
  ]) {
    await page.goto(`${page.url().split("#")[0]}#/vm/vm/${tab}/bob`);
    await page.getByRole("tab", { selected: true }).waitFor();
    await page.waitForLoadState("networkidle");
  }
  const { vms } = await server().client().vm.list({ prefix: "bob" });
  expect(vms[0]?.state).toBe("sleeping");
  expect((await bob.status()).generation).toBe(generation);
  await page.goto(`${page.url().split("#")[0]}#/vm/vm/files/bob`);
  await page.getByRole("button", { name: "Wake the machine" }).click();
  await page.getByRole("treeitem", { name: "file" }).waitFor();
});

test("the list fits a phone, in the dark too, and the keyboard reaches its links", async (context) => {
  await vm("phone").exists("/");
  const page = await open(context, { size: PHONE, scheme: "dark" });
  await page.getByRole("link", { name: "phone" }).waitFor();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  expect(width).toBeLessThanOrEqual(PHONE.width);
  await shoot(page, "phone");
  const reached = new Set<string>();
  for (let presses = 0; presses < 30 && !reached.has("phone"); presses++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement?.textContent ?? ""));
  }
  expect([...reached]).toContain("phone");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "phone" }).waitFor();
});

test("a page that is opened just after its machine has fallen asleep boots nothing", async (context) => {
  const dozer = vm("dozer");
  const page = await open(context, { at: "#/vm/vm/overview/dozer" });
  for (const tab of [
    "Files",
    "Processes",
    "Terminal",
    "Snapshots",
    "Network",
    "Sessions",
    "Log",
    "Methods",
  ]) {
    await dozer.exists("/");
    await page.getByRole("tab", { name: "Use" }).click();
    await page.getByRole("region", { name: "dozer" }).getByText("awake", { exact: true }).waitFor();
    await dozer.sleep();
    const { generation } = await dozer.status();
    await page.getByRole("tab", { name: tab }).click();
    await page.waitForLoadState("networkidle");
    expect({ tab, ...(await dozer.status()) }).toMatchObject({ tab, state: "sleeping", generation });
  }
  await dozer.writeFile("/workspace/found", "");
  await page.getByRole("region", { name: "dozer" }).getByText("awake", { exact: true }).waitFor();
  await dozer.sleep();
  await page.getByRole("tab", { name: "Files" }).click();
  await page.getByRole("button", { name: "Wake the machine" }).click();
  await page.getByRole("treeitem", { name: "found" }).waitFor();
});
