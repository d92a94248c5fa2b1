// @module-tag slow
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const { vm, open, server } = consoleTest();
const MAX_FIRST_PAGE_BYTES = 300_000;

test("the first page is small, comes from the server alone, and later parts load when they are needed", async (context) => {
  await vm("one").exists("/");
  const sizes = new Map<string, number>();
  const page = await open(context, { at: "#/login" });
  page.on("response", async (response) => {
    if (response.url().includes("/console")) sizes.set(response.url(), gzipSync(await response.body()).byteLength);
  });
  await page.reload();
  await page.getByRole("link", { name: "one" }).waitFor();
  await page.waitForLoadState("networkidle");
  const first = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  expect(sizes.size).toBeGreaterThan(2);
  expect(first).toBeLessThan(MAX_FIRST_PAGE_BYTES);
  console.log(`first page: ${first} bytes`);
  expect([...sizes.keys()].some((url) => /terminal|files|overview/.test(url))).toBe(false);
});

test("every answer has a policy without inline scripts, is for this origin, and unknown files are 404", async () => {
  const { endpoint } = server();
  const document = await fetch(`${endpoint}/console`);
  const policy = document.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("script-src 'self';");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(document.headers.get("cache-control")).toBe("no-store");
  expect(document.headers.get("cross-origin-opener-policy")).toBe("same-origin");
  expect(document.headers.get("access-control-allow-origin")).toBeNull();
  // A client that is no browser's tab gets no token.
  const html = await document.text();
  expect(html).not.toContain("avm_");
  expect(html.match(/<script[^>]*>[^<]/)).toBeNull();
  for (const path of ["/console/assets/none.js", "/console/assets/..%2fmain.js", "/console/assets/"])
    expect([400, 403, 404]).toContain((await fetch(endpoint + path)).status);
  const script = await fetch(`${endpoint}/console/assets/main.js`);
  expect(script.headers.get("content-type")).toContain("text/javascript");
  const again = await fetch(`${endpoint}/console/assets/main.js`, { headers: { "if-none-match": script.headers.get("etag") ?? "" } });
  expect(again.status).toBe(304);
  const asTab = (site: string) => documentFor(`${endpoint}/console`, site);
  expect(await asTab("cross-site")).not.toContain("avm_");
  expect(await asTab("none")).toContain("avm_");
});

/** Asks for the document as a browser's tab does. `fetch` sets these headers itself. */
async function documentFor(url: string, site: string): Promise<string> {
  const headers = { "sec-fetch-dest": "document", "sec-fetch-mode": "navigate", "sec-fetch-site": site };
  const [response] = (await once(get(url, { headers, agent: false }), "response")) as [IncomingMessage];
  return await text(response);
}
