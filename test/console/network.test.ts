// @module-tag slow
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, open, shoot } = consoleTest();

test("the network page shows live denials, allows one, sets the policy, and opens and revokes previews", async (context) => {
  await vm("net").spawn("node", [
    "-e",
    "require('http').createServer((q, r) => r.end('a page of the machine')).listen(3000)",
  ]);
  await vm("net").waitForPort(3000);
  const page = await open(context, { at: "#/vm/vm/network/net" });
  await page.getByLabel("what the rules allow").check();
  await page.getByLabel("Allow, a rule a line").fill("allowed.example:443");
  await page.getByRole("button", { name: "Set the policy" }).click();
  await expect
    .poll(() => vm("net").getNetworkPolicy())
    .toMatchObject({ outbound: { allow: ["allowed.example:443"] } });
  await vm("net").exec("curl -s -m 5 https://denied.example/ || true");
  const denial = page.getByRole("listitem").filter({ hasText: "denied.example:443" });
  await denial.waitFor();
  await shoot(page, "network");
  await denial.getByRole("button", { name: "Allow this" }).click();
  await expect
    .poll(() => vm("net").getNetworkPolicy())
    .toMatchObject({ outbound: { allow: ["allowed.example:443", "denied.example:443"] } });

  const tab = page.context().waitForEvent("page");
  await page
    .getByRole("listitem")
    .filter({ hasText: "3000" })
    .getByRole("button", { name: "Open preview" })
    .click();
  const preview = await tab;
  await preview.getByText("a page of the machine").waitFor();
  expect(await preview.evaluate(() => window.opener)).toBeNull();
  await page.getByRole("button", { name: "Revoke" }).click();
  await page.getByText("port 3000, made").waitFor({ state: "detached" });
  expect(await vm("net").listPreviews()).toEqual([]);
});
