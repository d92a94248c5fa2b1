import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { expect, onTestFinished, test as plainTest } from "vitest";
import { startKernelServer } from "../support/kernel-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startWebSocketServer } from "../support/vm-servers.ts";

const CHROMIUM = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== undefined && existsSync(path),
);
if (CHROMIUM === undefined)
  console.log("No browser test: chromium is not installed (apt-get install chromium)");
const test = plainTest.skipIf(CHROMIUM === undefined);
const profile = temporaryFolder();

/** A page with an absolute script, whose program asks its server by WebSocket and then tries the API beside it. */
const PAGE = `
  const http = require("node:http");
  const PAGE = '<!doctype html><p id="told">waiting</p><script src="/app.js"></script>';
  const APP = \`
    const told = document.getElementById("told");
    const socket = new WebSocket(new URL("socket", location.href).href.replace("http", "ws"));
    socket.onopen = () => socket.send("through the preview");
    socket.onmessage = async ({ data }) => {
      // With a Referer it would be taken for the app's own path.
      const api = await fetch("/actors?name=vm", { referrerPolicy: "no-referrer" }).then((r) => r.status, () => "failed");
      told.textContent = "echoed: " + data + "; api: " + api;
      await fetch("/told", { method: "POST", body: told.textContent });
    };\`;
  const server = http.createServer((request, response) => {
    const isApp = request.url === "/app.js";
    if (request.url === "/told") {
      request.pipe(require("node:fs").createWriteStream("/tmp/told")).on("finish", () => response.end());
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

test("a browser opens a preview page, its script and its WebSocket, and not the API", async () => {
  const { client } = await startKernelServer();
  const vm = client.vm.getOrCreate("browser");
  await startWebSocketServer(vm, 4000);
  await vm.writeFile("/tmp/page.cjs", PAGE);
  await vm.spawn("node", ["/tmp/page.cjs"]);
  await vm.waitForPort(3000);
  const { url } = await vm.createSignedPreviewUrl(3000);
  const args = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    `--user-data-dir=${profile}`,
  ];
  const browser = spawn(CHROMIUM as string, [...args, "--remote-debugging-port=0", url], { stdio: "ignore" });
  onTestFinished(async () => {
    browser.kill("SIGKILL");
    await once(browser, "close");
  });
  await expect.poll(() => vm.exists("/tmp/told"), { timeout: 60_000, interval: 200 }).toBe(true);
  const told = async () => new TextDecoder().decode(await vm.readFile("/tmp/told"));
  await expect.poll(told).toBe("echoed: through the preview; api: 403");
}, 90_000);
