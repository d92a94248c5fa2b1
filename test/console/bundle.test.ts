// @module-tag slow
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, open } = consoleTest();
const MAX_FIRST_PAGE_BYTES = 300_000;

test("the first page is small, comes from the server alone, and later parts load when they are needed", async (context) => {
  await vm("one").exists("/");
  const sizes = new Map<string, number>();
  const page = await open(context, { at: "#/login" });
  page.on("response", async (response) => {
    if (response.url().includes("/console"))
      sizes.set(response.url(), gzipSync(await response.body()).byteLength);
  });
  await page.reload();
  await page.getByRole("link", { name: "one" }).waitFor();
  await page.waitForLoadState("networkidle");
  const first = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  expect(sizes.size).toBeGreaterThan(2);
  expect(first).toBeLessThan(MAX_FIRST_PAGE_BYTES);
  expect([...sizes.keys()].some((url) => /terminal|files|overview/.test(url))).toBe(false);
});
