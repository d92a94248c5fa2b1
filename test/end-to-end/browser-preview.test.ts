// @module-tag slow
import { expect, test } from "vitest";
import { openInChromium, requireChromium } from "../support/chromium.ts";
import { startTestServer } from "../support/servers.ts";
import { startWebSocketServer } from "../support/vm-servers.ts";

/** Serves a page and, at an absolute path, its script. The script uses a WebSocket and then tries agent-vm's API. */
const PAGE = `
  const http = require("node:http");
  const PAGE = '<!doctype html><p id="report">waiting</p><script src="/app.js"></script>';
  const APP = \`
    const report = document.getElementById("report");
    const socket = new WebSocket(new URL("socket", location.href).href.replace("http", "ws"));
    socket.onopen = () => socket.send("through the preview");
    socket.onmessage = async ({ data }) => {
      // With a Referer the server would redirect the request to the app.
      const api = await fetch("/actors?name=vm", { referrerPolicy: "no-referrer" }).then((r) => r.status, () => "failed");
      report.textContent = "echoed: " + data + "; api: " + api;
      await fetch("/report", { method: "POST", body: report.textContent });
    };\`;
  const server = http.createServer((request, response) => {
    const isApp = request.url === "/app.js";
    if (request.url === "/report") {
      request.pipe(require("node:fs").createWriteStream("/tmp/report")).on("finish", () => response.end());
      return;
    }
    response.setHeader("content-type", isApp ? "text/javascript" : "text/html");
    response.end(isApp ? APP : PAGE);
  });
  server.on("upgrade", (request, socket, head) => {
    const inside = require("node:net").connect(4000, "127.0.0.1", () => {
      const lines = request.rawHeaders.flatMap((name, n, all) => (n % 2 ? [] : [name + ": " + all[n + 1]]));
      inside.write(["GET / HTTP/1.1", ...lines, "", ""].join("\\r\\n"));
      inside.write(head);
      socket.pipe(inside).pipe(socket);
    });
  });
  server.listen(3000);`;

test("a browser opens the page of a preview below a path, its script and WebSocket, but the page cannot call the API", async (context) => {
  requireChromium(context);
  const client = (await startTestServer({ kind: "kernel", process: true })).client();
  const vm = client.vm.getOrCreate("browser");
  await startWebSocketServer(vm, 4000);
  await vm.writeFile("/tmp/page.cjs", PAGE);
  await vm.spawn("node", ["/tmp/page.cjs"]);
  await vm.waitForPort(3000);
  const { pathUrl: url } = await vm.createSignedPreviewUrl(3000);
  openInChromium(context, url);
  await expect.poll(() => vm.exists("/tmp/report"), { timeout: 60_000, interval: 200 }).toBe(true);
  const report = async () => new TextDecoder().decode(await vm.readFile("/tmp/report"));
  await expect.poll(report).toBe("echoed: through the preview; api: 403");
});
