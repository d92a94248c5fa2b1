import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { rm } from "node:fs/promises";
import net from "node:net";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { VmClient } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";
import { type ServerProcess, startTestServer } from "../support/servers.ts";
import { startHttpServer } from "../support/vm-servers.ts";

const run = promisify(execFile);

let server: ServerProcess;
let client: VmClient<typeof registry>;
let vm: ReturnType<typeof client.vm.getOrCreate>;
let base: string;

beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", process: true });
  client = createClient<typeof registry>({ endpoint: server.endpoint });
  vm = client.vm.getOrCreate("previews");
  await startHttpServer(vm, 3000);
  base = (await vm.createSignedPreviewUrl(3000)).pathUrl;
});
afterAll(async () => {
  await client.dispose();
  await server.stop("SIGTERM");
});

/** Sends a request byte for byte, as no client of Node would. */
async function raw(head: string[], body = ""): Promise<string> {
  const socket = net.connect(server.port, "127.0.0.1");
  socket.write(`${[...head, "Connection: close"].join("\r\n")}\r\n\r\n${body}`);
  let answer = "";
  for await (const data of socket) answer += data;
  return answer;
}

const echoOf = (answer: string) => JSON.parse(answer.slice(answer.indexOf("{"), answer.lastIndexOf("}") + 1));
const pathOf = (url: string) => new URL(url).pathname;
const headersOf = (echo: { headers: string[] }) =>
  Object.fromEntries(
    echo.headers.flatMap((name, index, all) =>
      index % 2 === 0 ? [[name.toLowerCase(), all[index + 1]]] : [],
    ),
  );

test("createSignedPreviewUrl returns token, path, URL, port and expiry, and checks the lifetime", async () => {
  const before = Date.now();
  const preview = await vm.createSignedPreviewUrl(3000, 60);
  expect(preview.token).toMatch(/^[\w-]{32}$/);
  expect(preview.path).toBe(`/request/fetch/${preview.token}`);
  const actorId = await vm.resolve();
  expect(preview.pathUrl).toBe(`${server.endpoint}/gateway/${actorId}${preview.path}/`);
  expect(preview.url).toBe(`http://${preview.token}-${actorId}.localhost:${server.port}/`);
  expect(preview.port).toBe(3000);
  expect(preview.expiresAt).toBeGreaterThanOrEqual(before + 60_000);
  expect(preview.expiresAt).toBeLessThan(Date.now() + 61_000);
  for (const seconds of [0, 0.5, -1, 86_401]) {
    await expect(vm.createSignedPreviewUrl(3000, seconds)).rejects.toMatchObject({
      code: "invalid_argument",
      message: "expiresInSeconds must be between 1 and 86400",
    });
  }
});

test("requests that may be repeated share a connection to the port, and others have one of their own", async () => {
  const counting = `let count = 0;
    const server = require("http").createServer((request, response) => response.end(String(request.socket.number)));
    server.on("connection", (socket) => { socket.number = ++count; }).listen(3100);`;
  await vm.spawn("node", ["-e", counting]);
  await vm.waitForPort(3100);
  const { url } = await vm.createSignedPreviewUrl(3100);
  const ask = async (method: string) => await (await fetch(url, { method })).text();
  const numbers = new Set<string>();
  for (let round = 0; round < 10; round++) numbers.add(await ask("GET"));
  // A pause of 4 s closes a kept connection.
  expect(numbers.size).toBeLessThan(10);
  expect(numbers).not.toContain(await ask("POST"));
});

describe("a request", () => {
  test("reaches the app with its path byte for byte", async () => {
    for (const path of ["/", "/a%20b?x=%2F&y", "//a/../%2e%2e/./b?c=d?e", "/%0d%0ax:y", "/?"]) {
      const answer = await raw([
        `GET ${pathOf(base).slice(0, -1)}${path} HTTP/1.1`,
        `Host: 127.0.0.1:${server.port}`,
      ]);
      expect(echoOf(answer).url).toBe(path);
    }
  });

  test.each(["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])("of %s carries its body", async (method) => {
    const response = await fetch(`${base}x`, { method, body: "content" });
    expect(await response.json()).toMatchObject({ method, url: "/x", body: "content" });
  });

  test("has the app's Host, the outside address in X-Forwarded-*, and no header of agent-vm", async () => {
    const response = await fetch(base, {
      headers: {
        "x-forwarded-host": "spoofed",
        "x-rivet-token": "secret",
        origin: server.endpoint,
        referer: `${base}page?q`,
        te: "trailers",
      },
    });
    const headers = headersOf((await response.json()) as { headers: string[] });
    expect(headers).toMatchObject({
      host: "localhost:3000",
      origin: "http://localhost:3000",
      referer: "http://localhost:3000/page?q",
      "x-forwarded-host": `127.0.0.1:${server.port}`,
      "x-forwarded-proto": "http",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-prefix": pathOf(base).slice(0, -1),
    });
    expect(Object.keys(headers)).not.toContain("x-rivet-token");
    expect(Object.keys(headers)).not.toContain("te");
  });

  test("without a slash after the token is redirected if a browser opens a page", async () => {
    const bare = `${base.slice(0, -1)}?q=1`;
    const page = await fetch(bare, { headers: { accept: "text/html" }, redirect: "manual" });
    expect(page.status).toBe(307);
    expect(new URL(page.headers.get("location") ?? "", bare).href).toBe(`${base}?q=1`);
    expect(await (await fetch(bare)).json()).toMatchObject({ url: "/?q=1" });
  });

  test("for an absolute path, from a page of the preview, is redirected into the preview", async () => {
    const response = await fetch(`${server.endpoint}/assets/app.js?v=1`, {
      headers: { referer: `${base}page` },
      redirect: "manual",
    });
    expect(response.status).toBe(307);
    expect(response.headers.get("location")).toBe(`${pathOf(base)}assets/app.js?v=1`);
    const stranger = await fetch(`${server.endpoint}/assets/app.js`, {
      headers: { referer: "https://elsewhere.example/gateway/a/request/fetch/b/" },
      redirect: "manual",
    });
    expect(stranger.status).toBe(404);
  });
});

test("a URL without a slash at its end leads to no other host", async () => {
  const [gateway = ""] = pathOf(base).split("/request/");
  for (const token of ["https:evil.example", "\\\\evil.example", "javascript:alert(1)"]) {
    const line = `GET ${gateway}/request/fetch/${token} HTTP/1.1`;
    const answer = await raw([line, `Host: 127.0.0.1:${server.port}`, "Accept: text/html"]);
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer).not.toMatch(/^location:/im);
  }
});

describe("an answer", () => {
  test("has redirects and cookies below the preview", async () => {
    const redirect = await fetch(`${base}redirect`, { redirect: "manual" });
    expect(redirect.headers.get("location")).toBe(`${pathOf(base)}elsewhere`);
    const login = await fetch(`${base}login`, { redirect: "manual" });
    expect(login.headers.get("location")).toBe(`${pathOf(base)}home`);
    const [cookie = ""] = login.headers.getSetCookie();
    expect(cookie).toMatch(/^agent-vm-app-\w{16}-s=1; /);
    expect(cookie).toContain(`; Path=${pathOf(base).slice(0, -1)}/app`);
    const [pair = ""] = cookie.split(";");
    const next = await fetch(`${base}app`, { headers: { cookie: `session=user; ${pair}; s=2` } });
    const { headers } = (await next.json()) as { headers: string[] };
    expect(headers.filter((_, at) => headers[at - 1]?.toLowerCase() === "cookie")).toEqual(["s=1"]);
    expect(login.headers.get("referrer-policy")).toBe("same-origin");
  });

  test("streams: the first piece arrives before the second is sent", async () => {
    const response = await fetch(`${base}slow`);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect(await reader.read()).toMatchObject({ value: "first" });
    await fetch(`${base}go`);
    expect(await reader.read()).toMatchObject({ value: "second" });
    expect(await reader.read()).toMatchObject({ done: true });
  });

  test("of 1 GB passes in constant memory", { tags: ["slow"] }, async () => {
    const before = server.residentMib();
    const response = await fetch(`${base}bytes/1000000000`);
    let size = 0;
    for await (const chunk of Readable.fromWeb(response.body as never))
      size += (chunk as Uint8Array).byteLength;
    expect(size).toBe(1_000_000_000);
    expect(server.residentMib() - before).toBeLessThan(250);
  });

  test("that breaks off in the VM breaks off at the client", async () => {
    const response = await fetch(`${base}cut`);
    await expect(response.text()).rejects.toThrow();
  });

  test("that the client no longer awaits is cut in the VM", async () => {
    const count = async () => Number(await (await fetch(`${base}closed`)).text());
    const before = await count();
    const abort = new AbortController();
    const hanging = fetch(`${base}hang`, { signal: abort.signal }).catch(() => "gone");
    await fetch(base);
    abort.abort();
    await hanging;
    await expect.poll(count).toBe(before + 1);
  });

  test("to HEAD has the headers of an answer to GET, and no body", async () => {
    const response = await fetch(`${base}bytes/1000`, { method: "HEAD" });
    expect([response.status, response.headers.get("content-length")]).toEqual([200, "1000"]);
    expect(await response.text()).toBe("");
  });

  test("reaches curl, which uploads a file and follows a redirect", async () => {
    const curl = async (...args: string[]) => (await run("curl", ["-sS", "-m", "20", ...args])).stdout;
    expect(JSON.parse(await curl("-T", "package.json", `${base}put`))).toMatchObject({
      method: "PUT",
      url: "/put",
      body: statSync("package.json").size,
    });
    expect(JSON.parse(await curl("-L", `${base}redirect`))).toMatchObject({ url: "/elsewhere" });
    const written = await curl(
      "-o",
      "/dev/null",
      "-w",
      "%{http_code} %{size_download}",
      `${base}bytes/100000000`,
    );
    expect(written).toBe("200 100000000");
  });

  test("stays gzip if the app sends gzip", async () => {
    const response = await fetch(`${base}gzip`);
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(await response.text()).toBe("packed");
  });
});

test("passes an upload of 100 MB", { tags: ["slow"] }, async () => {
  const piece = Buffer.alloc(1_000_000);
  const body = Readable.toWeb(Readable.from(Array.from({ length: 100 }, () => piece))) as ReadableStream;
  const response = await fetch(base, { method: "POST", body, duplex: "half" } as RequestInit);
  expect(await response.json()).toMatchObject({ body: 100_000_000 });
});

describe("CORS and refusals", () => {
  test("answers OPTIONS without checking the token", async () => {
    for (const url of [base, base.replace(/.{4}\/$/, "AAAA/")]) {
      const response = await fetch(url, { method: "OPTIONS", headers: { origin: "https://a.example" } });
      expect(response.status).toBe(204);
      expect(response.headers.get("access-control-allow-origin")).toBe("*");
      expect(response.headers.get("access-control-allow-methods")).toBe("*");
    }
  });

  test("admits a page of any origin, by any host name", async () => {
    const answer = await raw([
      `GET ${pathOf(base)} HTTP/1.1`,
      "Host: dev.example",
      "Origin: https://a.example",
      "Sec-Fetch-Site: cross-site",
    ]);
    expect(answer).toMatch(/^HTTP\/1\.1 200/);
    expect(answer).toContain("access-control-allow-origin: *");
  });

  test("answers 403 to a wrong token", async () => {
    for (const token of ["", "x", "A".repeat(32), "A".repeat(5000)]) {
      const response = await fetch(base.replace(/[^/]*\/$/, `${token}/x`));
      expect(response.status).toBe(403);
      expect(response.headers.get("access-control-allow-origin")).toBe("*");
      expect(await response.json()).toMatchObject({ code: "preview_denied" });
    }
    expect((await fetch(base.replace(/gateway\/\w+/, "gateway/0123456789abcdef"))).status).toBe(403);
  });

  test("answers 502 if nothing listens on the port", async () => {
    const { pathUrl: url } = await vm.createSignedPreviewUrl(9);
    const response = await fetch(url);
    expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([502, "*"]);
    expect(await response.json()).toMatchObject({ code: "preview_failed" });
  });
});

test("checks the token on RivetKit's own routes too", async () => {
  const headers = { "x-rivet-target": "actor", "x-rivet-actor": await vm.resolve() };
  const path = `/request/fetch/${base.split("/").at(-2)}`;
  const response = await fetch(`${server.endpoint}${path}/x?y=1`, { method: "POST", body: "b", headers });
  expect(await response.json()).toMatchObject({ method: "POST", url: "/x?y=1", body: "b" });
  const wrong = await fetch(`${server.endpoint}${path.slice(0, -3)}AAA/x`, { headers });
  expect(wrong.status).toBe(403);
});

describe("tokens", () => {
  test("open one port of one VM", async () => {
    await startHttpServer(vm, 3001);
    const other = client.vm.getOrCreate("other");
    await startHttpServer(other, 3000);
    const token = base.split("/").at(-2) ?? "";
    const foreign = base.replace(await vm.resolve(), await other.resolve());
    expect((await fetch(foreign)).status).toBe(403);
    // The port is not in the URL, and no header chooses another.
    const echo = (await (await fetch(base, { headers: { host: "localhost:3001" } })).json()) as {
      headers: string[];
    };
    expect(headersOf(echo).host).toBe("localhost:3000");
    expect(JSON.stringify(await vm.listPreviews())).not.toContain(token);
  });

  test("expire by time and by hand, which cuts their open requests", async () => {
    const short = await vm.createSignedPreviewUrl(3000, 1);
    expect((await fetch(short.url)).status).toBe(200);
    await expect.poll(async () => (await fetch(short.url)).status).toBe(403);

    const long = await vm.createSignedPreviewUrl(3000);
    const hanging = fetch(`${long.url}hang`).then(
      () => "answered",
      () => "cut",
    );
    await fetch(long.url);
    await vm.expireSignedPreviewUrl(long.token);
    expect(await hanging).toBe("cut");
    expect((await fetch(long.url)).status).toBe(403);

    const byId = await vm.createSignedPreviewUrl(3000);
    const { id } = (await vm.listPreviews()).at(-1)!;
    await vm.expireSignedPreviewUrl(id);
    expect((await fetch(byId.url)).status).toBe(403);
    await vm.expireSignedPreviewUrl("unknown");
  });

  test("are at most 1,024 per VM, and survive a kill of the server", { tags: ["slow"] }, async () => {
    const dataDir = server.dataDir;
    const first = await startTestServer({ kind: "kernel", process: true, dataDir: `${dataDir}-2` });
    const owner = createClient<typeof registry>({ endpoint: first.endpoint });
    const machine = owner.vm.getOrCreate("durable");
    const preview = await machine.createSignedPreviewUrl(3000);
    const gone = await machine.createSignedPreviewUrl(3000);
    await machine.expireSignedPreviewUrl(gone.token);
    await Promise.all(Array.from({ length: 1023 }, () => machine.createSignedPreviewUrl(3000)));
    await expect(machine.createSignedPreviewUrl(3000)).rejects.toMatchObject({ code: "limit_exceeded" });
    await owner.dispose();
    await first.stop("SIGKILL");

    const second = await startTestServer({ kind: "kernel", process: true, dataDir: `${dataDir}-2` });
    try {
      const { pathname } = new URL(preview.pathUrl);
      // The preview itself wakes the actor and boots the VM, in which nothing listens yet.
      expect((await fetch(`${second.endpoint}${pathname}`)).status).toBe(502);
      const again = createClient<typeof registry>({ endpoint: second.endpoint });
      const woken = again.vm.getOrCreate("durable");
      await startHttpServer(woken, 3000);
      expect((await fetch(`${second.endpoint}${pathname}`)).status).toBe(200);
      expect((await fetch(`${second.endpoint}${new URL(gone.pathUrl).pathname}`)).status).toBe(403);
      expect(await woken.listPreviews()).toHaveLength(1024);
      await again.dispose();
    } finally {
      await second.stop("SIGTERM");
      await rm(`${dataDir}-2`, { recursive: true, force: true });
    }
  });
});

test("on a server with a token, only previews need no token of the server", async () => {
  const guarded = await startTestServer({ kind: "kernel", options: { token: "secret" } });
  const owner = createClient<typeof registry>({ endpoint: guarded.endpoint, token: "secret" });
  try {
    const machine = owner.vm.getOrCreate("guarded");
    await startHttpServer(machine, 3000);
    const { pathUrl: url } = await machine.createSignedPreviewUrl(3000);
    const response = await fetch(url, {
      headers: { authorization: "Bearer secret", "x-rivet-token": "secret" },
    });
    expect(await response.text()).not.toContain("secret");
    const app = await fetch(url, { headers: { authorization: "Bearer the-apps-own" } });
    expect(await app.text()).toContain("the-apps-own");
    const gateway = url.slice(0, url.indexOf("/request/"));
    const token = url.split("/").at(-2);
    for (const path of [
      "/action/exec",
      "/request/other",
      "/request/fetch",
      "/request//fetch/",
      `/request/fetch/../../action/exec`,
      `/request/%66etch/${token}/`,
      `/websocket/fetch/${token}/`,
      `//request/fetch/${token}/`,
    ]) {
      const target = new URL(gateway).pathname + path;
      const socket = net.connect(guarded.port, "127.0.0.1");
      socket.write(`POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      let answer = "";
      for await (const data of socket) answer += data;
      expect([path, answer.slice(9, 12)]).toEqual([path, path.includes("fetch/..") ? "403" : "401"]);
    }
  } finally {
    await owner.dispose();
    await guarded.stop();
  }
});
