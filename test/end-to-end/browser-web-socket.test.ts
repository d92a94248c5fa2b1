// @module-tag slow
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { openInBrowser, requireChromium } from "../support/chromium.ts";
import { startTestServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { startWebSocketServer } from "../support/vm-servers.ts";

/** A page that talks to a server inside by `vmWebSocket`, and writes a report into the VM. */
const PAGE = `
  import { createClient } from "agent-vm/client";
  const { endpoint, token } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
  const vm = createClient({ endpoint, token }).vm.getOrCreate("page");
  const next = (socket, name) => new Promise((resolve) => socket.addEventListener(name, resolve, { once: true }));
  const report = [];
  try {
    const socket = await vm.vmWebSocket(4000, "/chat?room=1", ["first", "second"]);
    report.push(socket.protocol);
    socket.send("protocol");
    report.push((await next(socket, "message")).data);
    socket.send(new Uint8Array([0, 1, 255]));
    const { data } = await next(socket, "message");
    report.push([...new Uint8Array(data instanceof Blob ? await data.arrayBuffer() : data)].join());
    const large = "x".repeat(3_000_000);
    socket.send(large);
    report.push((await next(socket, "message")).data === large);
    socket.send("close 4321 because");
    const { code, reason } = await next(socket, "close");
    report.push(code + " " + reason);
    report.push(await vm.vmWebSocket(9).then(() => "open", (error) => error.code));
  } catch (error) {
    report.push(String(error));
  }
  await vm.writeFile("/tmp/report", JSON.stringify(report));`;

test("a page in Chromium opens a WebSocket to a server inside, in text and bytes, and hears why one does not open", async (context) => {
  requireChromium(context);
  const token = "a-token-of-this-test";
  const server = await startTestServer({ kind: "kernel", process: true, env: { AGENT_VM_TOKEN: token } });
  const vm = server.client({ token }).vm.getOrCreate("page");
  await startWebSocketServer(vm, 4000);
  const folder = testFolder();
  await build({
    stdin: { contents: PAGE, resolveDir: import.meta.dirname, loader: "js" },
    bundle: true,
    outfile: join(folder, "page.js"),
    format: "esm",
    platform: "browser",
    conditions: ["agent-vm-source"],
    logLevel: "error",
  });
  writeFileSync(join(folder, "index.html"), '<!doctype html><script type="module" src="/page.js"></script>');
  const options = encodeURIComponent(JSON.stringify({ endpoint: server.endpoint, token }));
  await openInBrowser(context, folder, options);
  await expect.poll(() => vm.exists("/tmp/report"), { timeout: 60_000, interval: 200 }).toBe(true);
  const report = JSON.parse(new TextDecoder().decode(await vm.readFile("/tmp/report")));
  expect(report).toEqual(["second", "second /chat?room=1", "0,1,255", true, "4321 because", "ECONNREFUSED"]);
}, 120_000);
