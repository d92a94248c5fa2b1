// @module-tag attack
import { once } from "node:events";
import net from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ProgramServer, startTestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";
import { startHttpServer, startWebSocketServer } from "../support/vm-servers.ts";
import { wsClient } from "../support/ws-client.ts";

type Vm = ReturnType<ReturnType<ProgramServer["client"]>["vm"]["getOrCreate"]>;

const SERVER_TOKEN = "the-token-of-the-server";
const PASSWORD = "correct horse";
const dataDir = temporaryFolder();

let server: ProgramServer;
let vm: Vm;

const start = () =>
  startTestServer({ kind: "kernel", process: true, dataDir, env: { AGENT_VM_TOKEN: SERVER_TOKEN } });

beforeAll(async () => {
  server = await start();
  vm = server.client({ token: SERVER_TOKEN }).vm.getOrCreate("options");
  await startHttpServer(vm, 3000);
});
afterAll(() => server.stop("SIGTERM"));

const basic = (password: string, user = "any") =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

/** Sends a request with these headers, and answers status, headers and body. */
async function ask(url: string, headers: Record<string, string> = {}, more: RequestInit = {}) {
  const answer = await fetch(url, { redirect: "manual", headers, ...more });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text };
}

const login = (url: string, password: string) =>
  ask(
    url,
    { "content-type": "application/x-www-form-urlencoded", accept: "text/html" },
    { method: "POST", body: new URLSearchParams({ "agent-vm-password": password }) },
  );

/** Sends a request byte for byte. */
async function raw(url: string, line: string, headers: readonly string[]): Promise<string> {
  const { host } = new URL(url);
  const socket = net.connect(server.port, "127.0.0.1");
  socket.write([`${line} HTTP/1.1`, `Host: ${host}`, "Connection: close", ...headers, "", ""].join("\r\n"));
  let answer = "";
  for await (const data of socket) answer += data;
  return answer;
}

const headersIn = (text: string) => (JSON.parse(text) as { headers: string[] }).headers;

test("a password opens a preview for programs by Basic, for browsers by a form, below both URLs", async () => {
  const made = await vm.createPreview(3000, { auth: { password: PASSWORD } });
  for (const url of [made.url, made.pathUrl]) {
    const closed = await ask(url);
    expect(closed).toMatchObject({ status: 401 });
    expect(JSON.parse(closed.text)).toMatchObject({ code: "preview_locked" });
    expect(await raw(url, `GET ${new URL(url).pathname}`, [])).toContain("www-authenticate: Basic ");
    const opened = await ask(url, { authorization: basic(PASSWORD), cookie: "own=1" });
    expect(opened.status).toBe(200);
    expect(headersIn(opened.text).map((text) => text.toLowerCase())).not.toContain("authorization");
    // A browser gets a form, whose answer is a cookie for this preview alone, and no dialogue.
    const page = await ask(`${url}a/b?c=1`, { accept: "text/html", "sec-fetch-mode": "navigate" });
    expect(page.status).toBe(401);
    expect(page.headers.get("www-authenticate")).toBeNull();
    expect(page.headers.get("content-security-policy")).toContain("form-action 'self'");
    expect(page.text).toContain('<form method="post">');
    expect((await login(url, "wrong horse")).text).toContain("The password is wrong");
    const welcome = await login(`${url}a/b?c=1`, PASSWORD);
    expect(welcome.status).toBe(303);
    expect(new URL(welcome.headers.get("location") ?? "", `${url}a/b?c=1`).href).toBe(`${url}a/b?c=1`);
    const [cookie = ""] = welcome.headers.getSetCookie();
    const path = new URL(url).pathname;
    expect(cookie).toMatch(/HttpOnly; SameSite=Lax$/);
    expect(cookie).toContain(`; Path=${path};`);
    const [pair = ""] = cookie.split(";");
    const inside = await ask(url, { cookie: `own=1; ${pair}; more=2` });
    expect(inside.status).toBe(200);
    expect(inside.text).not.toContain("agent-vm-preview");
    // Below a path a cookie that the app has not set may be a login to the server.
    if (url === made.url) expect(headersIn(inside.text)).toContain("own=1; more=2");
    else expect(headersIn(inside.text).map((text) => text.toLowerCase())).not.toContain("cookie");
  }
  expect(await vm.listPreviews()).toContainEqual(
    expect.objectContaining({ id: made.id, hasPassword: true, port: 3000 }),
  );
  expect(JSON.stringify(await vm.listPreviews())).not.toContain(PASSWORD);
  await vm.expireSignedPreviewUrl(made.id);
  expect((await ask(made.url, { authorization: basic(PASSWORD) })).status).toBe(403);
});

test("a form cannot redirect to another host, and a cookie opens no other preview", async () => {
  const made = await vm.createPreview(3000, { auth: { password: PASSWORD } });
  const other = await vm.createPreview(3000, { auth: { password: PASSWORD } });
  const body = "agent-vm-password=correct+horse";
  const answer = await raw(made.url, "POST //evil.test/x", [
    "Content-Type: application/x-www-form-urlencoded",
    `Content-Length: ${body.length}`,
    "",
    body,
  ]);
  expect(answer).toContain("HTTP/1.1 303");
  expect(answer).toContain("location: ./x\r\n");
  const [, pair = ""] = /set-cookie: ([^;]+)/.exec(answer) ?? [];
  expect((await ask(made.url, { cookie: pair })).status).toBe(200);
  expect((await ask(other.url, { cookie: pair })).status).toBe(401);
  for (const forged of [pair.slice(0, -1), pair.replace(/=\d/, "=9"), pair.replace("password", "user")])
    expect((await ask(made.url, { cookie: forged })).status).toBe(401);
});

test("guesses are limited to ten a minute, also at the same time, and then also a right one is refused", async () => {
  const made = await vm.createPreview(3000, { auth: { password: PASSWORD } });
  const welcome = await login(made.url, PASSWORD);
  const [pair = ""] = (welcome.headers.getSetCookie()[0] ?? "").split(";");
  const guesses = Array.from({ length: 40 }, (_, at) =>
    ask(made.url, { authorization: basic(`guess ${at} of it`) }),
  );
  const statuses = (await Promise.all(guesses)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 401)).toHaveLength(10);
  expect(statuses.filter((status) => status === 429)).toHaveLength(30);
  const late = await ask(made.url, { authorization: basic(PASSWORD) });
  expect(late.status).toBe(429);
  expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(0);
  // A browser that is logged in does not notice, and neither does another preview.
  expect((await ask(made.url, { cookie: pair })).status).toBe(200);
  const other = await vm.createPreview(3000, { auth: { password: PASSWORD } });
  const page = Array.from({ length: 40 }, () => ask(other.url, { authorization: basic(PASSWORD) }));
  expect((await Promise.all(page)).every(({ status }) => status === 200)).toBe(true);
});

test("no spelling of a header carries a password or a cookie of a preview to the app", async () => {
  const made = await vm.createPreview(3000, { auth: { password: PASSWORD }, access: "token" });
  const hidden = basic(PASSWORD);
  const answer = await raw(made.url, "GET /", [
    `Authorization: ${hidden}`,
    `authorization: ${hidden}`,
    `AUTHORIZATION: Bearer ${SERVER_TOKEN}`,
    `Author-ization: kept`,
    `X-Rivet-Token: ${SERVER_TOKEN}`,
    "Cookie: a=1",
    'Cookie: "agent-vm-preview" =x.y.z; Agent-VM-Preview=1; b=2',
  ]);
  expect(answer).toContain("HTTP/1.1 200");
  for (const secret of [hidden.slice(6), SERVER_TOKEN, "agent-vm-preview", "Agent-VM"])
    expect(answer).not.toContain(secret);
  expect(answer).toContain("a=1");
  expect(answer).toContain("b=2");
  // A WebSocket needs the password too.
  const upgrade = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: x",
  ];
  expect(await raw(made.url, "GET /", upgrade)).toContain("HTTP/1.1 401");
});

test("the streams and WebSockets of a token end when it is revoked", async () => {
  await startWebSocketServer(vm, 4000);
  const { token, id } = await server
    .client({ token: SERVER_TOKEN })
    .tokens.create({ vms: "options", may: ["network"] });
  const made = {
    page: await vm.createPreview(3000, { access: "token" }),
    socket: await vm.createPreview(4000, { access: "token" }),
  };
  const headers = { authorization: `Bearer ${token}` };
  const welcome = await login(made.page.url, token);
  const [cookie = ""] = (welcome.headers.getSetCookie()[0] ?? "").split(";");
  const streams = [headers, { cookie }].map(async (shown) => {
    const answer = await fetch(`${made.page.url}slow`, { headers: shown });
    const reader = answer.body!.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("first");
    return reader;
  });
  const readers = await Promise.all(streams);
  const socket = wsClient(made.socket.url.replace("http", "ws"), [], { headers });
  await once(socket, "open");
  const closed = once(socket, "close");
  await server.client({ token: SERVER_TOKEN }).tokens.revoke(id);
  await closed;
  for (const reader of readers) await expect(reader.read()).rejects.toThrow();
});

test("with access token, tokens of the server with the right for this VM open a preview, until they end", async () => {
  const client = server.client({ token: SERVER_TOKEN });
  const own = await client.tokens.create({ vms: "options", may: ["network"] });
  const foreign = await client.tokens.create({ vms: "another", may: ["network"] });
  const weak = await client.tokens.create({ vms: "options", may: ["read", "exec"] });
  const made = await vm.createPreview(3000, { access: "token" });
  for (const url of [made.url, made.pathUrl]) {
    const bearer = (token: string) => ask(url, { authorization: `Bearer ${token}` });
    expect((await bearer(SERVER_TOKEN)).status).toBe(200);
    const opened = await bearer(own.token);
    expect([opened.status, opened.text.includes(own.token)]).toEqual([200, false]);
    for (const { token } of [foreign, weak, { token: "x" }]) expect((await bearer(token)).status).toBe(401);
    expect((await ask(url)).status).toBe(401);
  }
  const welcome = await login(made.url, own.token);
  const [pair = ""] = (welcome.headers.getSetCookie()[0] ?? "").split(";");
  expect((await ask(made.url, { cookie: pair })).status).toBe(200);
  await client.tokens.revoke(own.id);
  expect((await ask(made.url, { cookie: pair })).status).toBe(401);
});

test("cors names the pages that may read answers, with credentials", async () => {
  const page = "https://app.example";
  const made = await vm.createPreview(3000, { cors: [page] });
  for (const url of [made.url, made.pathUrl]) {
    const asked = {
      "access-control-request-method": "PUT",
      "access-control-request-headers": "authorization",
    };
    const allowed = await ask(url, { origin: page, ...asked }, { method: "OPTIONS" });
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe(page);
    expect(allowed.headers.get("access-control-allow-credentials")).toBe("true");
    expect(allowed.headers.get("access-control-allow-headers")).toBe("authorization");
    const foreign = await ask(url, { origin: "https://evil.example", ...asked }, { method: "OPTIONS" });
    expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
    expect((await ask(url, { origin: page })).headers.get("access-control-allow-origin")).toBe(page);
    expect(
      (await ask(url, { origin: "https://evil.example" })).headers.get("access-control-allow-origin"),
    ).toBeNull();
  }
  const app = await vm.createPreview(3000, { cors: "app" });
  expect((await ask(app.url, { origin: page })).headers.get("access-control-allow-origin")).toBeNull();
});

test("host is the Host header of the app, and its own redirects stay below the preview", async () => {
  const { url, id } = await vm.createPreview(3000, { host: "shop.test" });
  const { text } = await ask(url, { origin: new URL(url).origin });
  const headers = headersIn(text);
  expect(headers[headers.indexOf("host") + 1]).toBe("shop.test");
  expect(headers[headers.indexOf("origin") + 1]).toBe("http://shop.test");
  expect(await vm.listPreviews()).toContainEqual(expect.objectContaining({ id, host: "shop.test" }));
});

test("log notes the requests of a preview, also the refused ones, and announces them", async () => {
  const connection = server.client({ token: SERVER_TOKEN }).vm.getOrCreate("options").connect();
  const events: unknown[] = [];
  connection.on("previewRequest", (entry) => events.push(entry));
  await connection.status();
  const made = await vm.createPreview(3000, { name: "logged", log: true, auth: { password: PASSWORD } });
  await ask(`${made.url}closed?q=1`);
  await ask(`${made.url}status/418`, { authorization: basic(PASSWORD) });
  const entry = {
    id: made.id,
    name: "logged",
    port: 3000,
    method: "GET",
    time: expect.any(Number),
    ms: expect.any(Number),
  };
  const expected = [
    { ...entry, path: "/closed?q=1", status: 401 },
    { ...entry, path: "/status/418", status: 418 },
  ];
  await expect.poll(() => vm.getPreviewLog("logged")).toEqual(expected);
  await expect.poll(() => events).toEqual(expected);
  expect(await vm.getPreviewLog(made.id)).toEqual(expected);
  expect(await vm.getPreviewLog("other")).toEqual([]);
  await connection.dispose();
});

test("a name answers the same URL, with new options, until it is revoked", async () => {
  const first = await vm.createPreview(3000, { name: "shop" });
  const again = await vm.createPreview(3000, { name: "shop", expiresInSeconds: 60 });
  expect(again.url).toBe(first.url);
  expect(again.expiresAt).toBeLessThan(first.expiresAt);
  const [one, two] = await Promise.all(["same", "same"].map((name) => vm.createPreview(3000, { name })));
  expect(one?.url).toBe(two?.url);
  await vm.createPreview(3001, { name: "shop", auth: { password: PASSWORD } });
  expect((await ask(first.url)).status).toBe(401);
  expect((await ask(first.url, { authorization: basic(PASSWORD) })).status).toBe(502);
  await vm.expireSignedPreviewUrl("shop");
  expect((await ask(first.url)).status).toBe(403);
  const next = await vm.createPreview(3000, { name: "shop" });
  expect(next.url).not.toBe(first.url);
  expect((await ask(first.url)).status).toBe(403);
  for (const name of ["Shop", "9", "a b", "", "a".repeat(64)])
    expect(await failure(vm.createPreview(3000, { name }))).toMatchObject({ code: "invalid_argument" });
  const bad = await failure(vm.createPreview(3000, { auth: { password: "short\n" } }));
  expect(bad).toMatchObject({ code: "invalid_argument" });
  expect(String(bad)).not.toContain("short");
});

test("a preview with a name, its password and its logins survive a restart of the server", {
  tags: ["slow"],
}, async () => {
  const before = await vm.createPreview(3000, { name: "kept", auth: { password: PASSWORD } });
  const [pair = ""] = ((await login(before.url, PASSWORD)).headers.getSetCookie()[0] ?? "").split(";");
  await server.stop("SIGTERM");
  server = await start();
  vm = server.client({ token: SERVER_TOKEN }).vm.getOrCreate("options");
  await startHttpServer(vm, 3000);
  const after = await vm.createPreview(3000, { name: "kept", auth: { password: PASSWORD } });
  expect([after.token, after.id]).toEqual([before.token, before.id]);
  expect((await ask(after.url)).status).toBe(401);
  expect((await ask(after.url, { authorization: basic(PASSWORD) })).status).toBe(200);
  expect((await ask(after.url, { cookie: pair })).status).toBe(200);
});
