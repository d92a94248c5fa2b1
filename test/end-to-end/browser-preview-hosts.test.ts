// @module-tag slow
import { expect, test } from "vitest";
import { openInChromium, requireChromium } from "../support/chromium.ts";
import { startTestServer } from "../support/servers.ts";
import { startWebSocketServer } from "../support/vm-servers.ts";

/**
 * An app that speaks HTTP on the first port, and TLS on the second. Its headers are those of helmet. It serves a page with
 * a script at every path, and passes upgrades to a WebSocket server on port 4000.
 */
const APP = `
  const fs = require("node:fs"), net = require("node:net");
  const [name, port, script] = process.argv.slice(2);
  const HEADERS = {
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'self'; connect-src *; frame-src *; upgrade-insecure-requests",
    "cross-origin-opener-policy": "same-origin",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
  };
  const listener = (request, response) => {
    const [path] = request.url.split("?");
    for (const [header, value] of Object.entries(HEADERS)) response.setHeader(header, value);
    if (path === "/report") {
      const file = fs.createWriteStream("/tmp/report-" + name + ".part");
      return request.pipe(file).on("finish", () => {
        fs.renameSync("/tmp/report-" + name + ".part", "/tmp/report-" + name);
        response.end();
      });
    }
    if (path === "/app.js") return response.setHeader("content-type", "text/javascript"), response.end(script);
    if (path === "/worker.js") {
      response.setHeader("content-type", "text/javascript");
      return response.end("oninstall = () => skipWaiting(); onactivate = (e) => e.waitUntil(clients.claim());" +
        "onfetch = (e) => { if (e.request.url.endsWith('/from-worker')) e.respondWith(new Response('worker')); };");
    }
    if (path === "/events") {
      response.setHeader("content-type", "text/event-stream");
      return response.write("data: event\\n\\n");
    }
    if (path === "/upload") {
      let size = 0;
      return request.on("data", (piece) => { size += piece.length; }).on("end", () => response.end(String(size)));
    }
    if (path === "/cookies") return response.end(request.headers.cookie ?? "");
    if (path === "/form") return response.end(request.headers.origin + " for " + request.headers.host);
    if (path === "/health" || path === "/vms") return response.end("app");
    response.setHeader("set-cookie", ["server=" + name + "; Path=/; Domain=localhost", "secure=" + name + "; Secure; SameSite=None"]);
    response.setHeader("content-type", "text/html");
    response.end('<!doctype html><script type="module" crossorigin src="/app.js"></script>');
  };
  const server = name === "tls"
    ? require("node:https").createServer({ key: fs.readFileSync("/tmp/key.pem"), cert: fs.readFileSync("/tmp/cert.pem") }, listener)
    : require("node:http").createServer(listener);
  server.on("upgrade", (request, socket, head) => {
    const inside = net.connect(4000, "127.0.0.1", () => {
      const lines = request.rawHeaders.flatMap((key, n, all) => (n % 2 ? [] : [key + ": " + all[n + 1]]));
      inside.write(["GET / HTTP/1.1", ...lines, "", ""].join("\\r\\n"));
      inside.write(head);
      socket.pipe(inside).pipe(socket);
    });
  });
  server.listen(Number(port));`;

/** Uses everything of the page's own origin. */
const OWN = `
  const text = (path, init) => fetch(path, init).then((r) => r.text());
  const report = { path: location.pathname, secure: isSecureContext };
  history.pushState({}, "", "/deep/route?tab=1");
  report.pushed = location.pathname + location.search;
  document.cookie = "script=" + report.path.slice(1);
  document.cookie = "wide=1; domain=localhost";
  document.cookie = "wide=1; domain=.localhost";
  report.cookies = (await text("/cookies")).split("; ").sort();
  report.socket = await new Promise((resolve) => {
    const socket = new WebSocket(location.origin.replace("http", "ws") + "/?token=x", "vite-hmr");
    socket.onopen = () => socket.send("hmr");
    socket.onmessage = ({ data }) => resolve(data + " " + socket.protocol);
    socket.onerror = () => resolve("failed");
  });
  report.event = await new Promise((resolve) => {
    const source = new EventSource("/events");
    source.onmessage = ({ data }) => { source.close(); resolve(data); };
  });
  report.upload = await text("/upload", { method: "POST", body: new Blob([new Uint8Array(20_000_000)]) });
  report.origin = await text("/form", { method: "POST", body: "x" });
  await navigator.serviceWorker.register("/worker.js");
  if (!navigator.serviceWorker.controller)
    await new Promise((resolve) => { navigator.serviceWorker.oncontrollerchange = resolve; });
  report.worker = await text("/from-worker");
  report.health = (await text("/health")) + " " + (await text("/vms"));`;

/** Tries to reach the API and another preview. */
const others = (port: number, actorId: string, other: string) => `
  const status = (url, init) => fetch(url, init).then((r) => r.status, () => "failed");
  const api = "http://localhost:${port}", numeric = "http://127.0.0.1:${port}";
  report.api = [
    await status(api + "/vms"),
    await status(numeric + "/vms"),
    await status(api + "/actors", { method: "PUT", body: "{}" }),
    await status(api + "/gateway/${actorId}/action/exec", { method: "POST", body: "{}" }),
    await new Promise((resolve) => {
      const socket = new WebSocket("ws://localhost:${port}/gateway/${actorId}/connect", ["rivet", "rivet_encoding.json"]);
      socket.onmessage = () => resolve("message");
      socket.onclose = () => resolve("closed");
    }),
  ];
  report.framed = await new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.src = "${other}";
    frame.onload = () => {
      try { resolve(frame.contentDocument === null ? "closed" : "open"); } catch { resolve("closed"); }
    };
    document.body.append(frame);
  });`;

const send = (more = "") =>
  `await text("/report", { method: "POST", body: JSON.stringify(report) }); ${more}`;

test("in a browser each preview with a host name is an origin of its own, and the API shares nothing with it", async (context) => {
  const server = await startTestServer({ kind: "kernel", process: true });
  const vm = server.client().vm.getOrCreate("browser");
  requireChromium(context);
  const keys =
    "openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/key.pem -out /tmp/cert.pem -subj /CN=localhost";
  expect((await vm.exec(keys)).exitCode).toBe(0);
  await startWebSocketServer(vm, 4000);
  await vm.writeFile("/tmp/app.cjs", APP);
  const start = (name: string, port: number, script: string) =>
    vm.spawn("node", ["/tmp/app.cjs", name, String(port), script]);
  const [plain, tls, late] = await Promise.all(
    [3000, 3443, 3002].map(async (port) => (await vm.createSignedPreviewUrl(port)).url),
  );
  await start("tls", 3443, `${OWN}${others(server.port, await vm.resolve(), late as string)}${send()}`);
  await start("plain", 3000, `${OWN}${send(`location.href = "${tls}";`)}`);
  await Promise.all([vm.waitForPort(3000), vm.waitForPort(3443)]);
  openInChromium(context, plain as string);

  const reportOf = async (name: string) => {
    await expect.poll(() => vm.exists(`/tmp/report-${name}`), { timeout: 60_000, interval: 200 }).toBe(true);
    return JSON.parse(new TextDecoder().decode(await vm.readFile(`/tmp/report-${name}`)));
  };
  const own = (name: string, port: number) => ({
    path: "/",
    secure: true,
    pushed: "/deep/route?tab=1",
    cookies: ["script=", `secure=${name}`, `server=${name}`],
    socket: "hmr vite-hmr",
    event: "event",
    upload: "20000000",
    origin: `http://localhost:${port} for localhost:${port}`,
    worker: "worker",
    health: "app app",
  });
  expect(await reportOf("plain")).toEqual(own("plain", 3000));
  expect(await reportOf("tls")).toEqual({
    ...own("tls", 3443),
    api: [403, 403, 403, 403, "closed"],
    framed: "closed",
  });
  // The frame shows a page that waits for the app, and opens the app when it is there.
  await start("late", 3002, `const text = fetch; const report = { late: true }; ${send()}`);
  expect(await reportOf("late")).toEqual({ late: true });
});
