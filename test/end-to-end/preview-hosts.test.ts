// @module-tag attack
import net from "node:net";
import { beforeAll, expect, test } from "vitest";
import type { VmHandle } from "../../src/client/index.ts";
import { sharedServer, startTestServer } from "../support/servers.ts";
import { startHttpServer } from "../support/vm-servers.ts";

const server = sharedServer();
let vm: VmHandle;
/** Host of a preview of port 3000. */
let host: string;
let actorId: string;

beforeAll(async () => {
  vm = server().client().vm.getOrCreate("hosts");
  await startHttpServer(vm, 3000);
  host = new URL((await vm.createSignedPreviewUrl(3000)).url).host;
  actorId = await vm.resolve();
});

/** Sends a request byte for byte and returns the answer. */
async function raw(line: string, port: number, ...headers: string[]): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  socket.write([`${line} HTTP/1.1`, ...headers, "Connection: close", "", ""].join("\r\n"));
  let answer = "";
  for await (const data of socket) answer += data;
  return answer;
}
const statusOf = (answer: string) => answer.slice(9, 12);
const urlIn = (answer: string) =>
  JSON.parse(answer.slice(answer.indexOf("{"), answer.lastIndexOf("}") + 1)).url;

test("every path of a preview's host name reaches the app, also paths of the API", async () => {
  const paths = [
    "/",
    "/a?b#",
    "//x/../y",
    "/health",
    "/health/live",
    "/metrics",
    "/metadata",
    "/vms",
    "/actors",
  ];
  for (const path of [...paths, `/gateway/${actorId}/action/exec`, `/gateway/${actorId}/request/fetch/x/`]) {
    expect(urlIn(await raw(`GET ${path}`, server().port, `Host: ${host}`))).toBe(path);
    expect(urlIn(await raw(`GET ${path}`, server().port, `Host: ${host.toUpperCase()}`))).toBe(path);
  }
  expect(urlIn(await raw("POST /tokens/create", server().port, `Host: ${host}`, "x-rivet-token: x"))).toBe(
    "/tokens/create",
  );
});

test("a host name below the domain that names no preview answers 403 to every request", async () => {
  const [, label = "", rest = ""] = /^([^.]+)(.*)$/.exec(host) ?? [];
  const wrong = `${label.replace(/^./, (first) => (first === "a" ? "b" : "a"))}${rest}`;
  for (const name of [wrong, `x${rest}`, `a.${host}`, `${label.slice(0, 32)}-0123456789abcdef${rest}`]) {
    for (const line of ["GET /", "GET /health", "GET /metrics", "PUT /actors", "GET http://127.0.0.1/health"])
      expect([name, line, statusOf(await raw(line, server().port, `Host: ${name}`))]).toEqual([
        name,
        line,
        "403",
      ]);
    const upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
    const connect = raw(
      `GET /gateway/${actorId}/connect`,
      server().port,
      `Host: ${name}`,
      ...upgrade,
      "Sec-WebSocket-Key: x",
    );
    expect(statusOf(await connect)).toBe("403");
  }
});

test("an absolute URI reaches neither the API nor a preview", async () => {
  for (const target of [`http://${host}/`, "http://localhost/health"])
    expect(statusOf(await raw(`GET ${target}`, server().port, `Host: ${host}`))).toBe("403");
  expect(statusOf(await raw(`GET http://${host}/`, server().port, `Host: localhost:${server().port}`))).toBe(
    "400",
  );
});

test("the API refuses requests from a preview's origin", async () => {
  const from = [`Host: localhost:${server().port}`, `Origin: http://${host}`];
  for (const line of ["GET /vms", "PUT /actors", "GET /metrics", `POST /gateway/${actorId}/action/exec`])
    expect([line, statusOf(await raw(line, server().port, ...from))]).toEqual([line, "403"]);
});

test("a revoked preview's host name answers 403", async () => {
  const { url, token } = await vm.createSignedPreviewUrl(3000);
  expect((await fetch(url)).status).toBe(200);
  await vm.expireSignedPreviewUrl(token);
  expect((await fetch(url)).status).toBe(403);
});

test("a port that does not answer shows a browser a page that waits, and a program JSON", async () => {
  const { url } = await vm.createSignedPreviewUrl(9);
  const page = await fetch(url, { headers: { accept: "text/html,*/*" } });
  expect([page.status, page.headers.get("content-type")]).toEqual([502, "text/html; charset=utf-8"]);
  expect(await page.text()).toContain("Waiting for the app");
  expect(await (await fetch(url)).json()).toMatchObject({ code: "preview_failed" });
});

test("OPTIONS reaches the app, and a page that the app answers without CORS is allowed", async () => {
  const script = `http.createServer((request, response) => {
    if (request.url === "/cors") response.setHeader("access-control-allow-origin", request.headers.origin);
    response.setHeader("access-control-allow-credentials", "true");
    response.end(request.method);
  }).listen(3001)`;
  await vm.spawn("node", ["-e", script]);
  await vm.waitForPort(3001);
  const { url, token } = await vm.createSignedPreviewUrl(3001);
  const ask = async (path: string, headers: Record<string, string> = { origin: "http://page.test" }) => {
    const answer = await fetch(url + path, { method: "OPTIONS", headers });
    return [answer.status, answer.headers.get("access-control-allow-origin"), await answer.text()];
  };
  expect(await ask("cors")).toEqual([200, "http://page.test", "OPTIONS"]);
  expect(await ask("none")).toEqual([204, "*", ""]);
  expect(await ask("dav", {})).toEqual([200, "*", "OPTIONS"]);
  await vm.expireSignedPreviewUrl(token);
  expect(await ask("cors")).toEqual([204, "*", ""]);
});

test("with a previewDomain, previews have names below it, which serve nothing of the API", async () => {
  const options = { previewDomain: "https://*.preview.example.com", token: "secret" };
  const other = await startTestServer({ kind: "kernel", options });
  const machine = other.client({ token: "secret" }).vm.getOrCreate("domain");
  const { url, token, pathUrl } = await machine.createSignedPreviewUrl(3000);
  const name = `${token}-${await machine.resolve()}.preview.example.com`;
  expect(url).toBe(`https://${name}/`);
  expect(pathUrl.startsWith(`${other.endpoint}/gateway/`)).toBe(true);
  const health = (host: string) => raw("GET /health", other.port, `Host: ${host}`);
  expect(statusOf(await health("example.com"))).toBe("200");
  expect(statusOf(await health("x.preview.example.com"))).toBe("403");
  await machine.expireSignedPreviewUrl(token);
  expect(await health(name)).toContain("preview_denied");
});
