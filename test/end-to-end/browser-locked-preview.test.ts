// @module-tag slow
import { expect, test } from "vitest";
import { openInChromium, requireChromium } from "../support/chromium.ts";
import { startTestServer } from "../support/servers.ts";

const PASSWORD = "correct horse";

/** An app whose page reports the cookies that a request of its script carries, and whose /start sends the form of a locked preview. */
const APP = `
  const fs = require("node:fs");
  http.createServer((request, response) => {
    const url = new URL(request.url, "http://app");
    if (url.pathname === "/report") {
      fs.appendFileSync("/tmp/report", url.search + " cookie=" + (request.headers.cookie ?? "") + "\\n");
      return response.end();
    }
    response.setHeader("content-type", "text/html");
    if (url.pathname === "/start") {
      const to = url.searchParams.get("to");
      return response.end('<form method="post" action="' + to + 'app?q=1"><input name="agent-vm-password" value="${PASSWORD}"></form>' +
        '<script>fetch("' + to + '", { credentials: "include" }).then((r) => r.status, () => "blocked")' +
        '.then((status) => fetch("/report?before=" + status)).then(() => document.forms[0].submit())</script>');
    }
    response.end('<script>fetch("/report?at=" + encodeURIComponent(location.pathname + location.search))</script>');
  }).listen(3000);`;

test("Chromium logs in by the form of a locked preview, and the app behind it sees no cookie", async (context) => {
  requireChromium(context);
  const server = await startTestServer({ kind: "kernel", process: true });
  const vm = server.client().vm.getOrCreate("locked");
  await vm.spawn("node", ["-e", APP]);
  await vm.waitForPort(3000);
  const locked = await vm.createPreview(3000, { auth: { password: PASSWORD } });
  const open = await vm.createPreview(3000);
  const startAt = `${open.url}start?to=${encodeURIComponent(locked.url)}`;
  openInChromium(context, startAt);
  const report = async () => (await vm.exec("cat /tmp/report 2>/dev/null || true")).stdout;
  await expect.poll(report, { interval: 500 }).toContain("?at=");
  // The page of another preview cannot read the locked one. The browser is where the form was.
  expect(await report()).toBe(`?before=blocked cookie=\n?at=${encodeURIComponent("/app?q=1")} cookie=\n`);
});
