// @module-tag attack
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import type { ServerOptions } from "../../../src/http/server-options.ts";
import { startTestServer } from "../../support/servers.ts";

const start = (options: ServerOptions = {}) => startTestServer({ kind: "fake", options });

/** Asks for the document as a browser does. `fetch` sets these headers itself. */
async function documentFor(
  endpoint: string,
  headers: Record<string, string>,
): Promise<{ html: string; cookie: string | undefined }> {
  const all = {
    "sec-fetch-dest": "document",
    "sec-fetch-mode": "navigate",
    "sec-fetch-site": "none",
    ...headers,
  };
  const request = get(`${endpoint}/console`, { headers: all, agent: false });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return { html: await text(response), cookie: response.headers["set-cookie"]?.[0] };
}

const tokenIn = (html: string) => /name="agent-vm-token" content="([^"]*)"/.exec(html)?.[1];

test("the console has a policy without inline scripts, answers its own origin alone, and has no unknown files", async () => {
  const { endpoint } = await start();
  const document = await fetch(`${endpoint}/console`);
  const policy = document.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'; script-src 'self';");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(document.headers.get("cache-control")).toBe("no-store");
  expect(document.headers.get("cross-origin-opener-policy")).toBe("same-origin");
  expect(document.headers.get("access-control-allow-origin")).toBeNull();
  expect((await document.text()).match(/<script[^>]*>[^<]/)).toBeNull();
  for (const path of ["assets/none.js", "assets/..%2fmain.js", "assets/", "other"])
    expect([400, 403, 404]).toContain((await fetch(`${endpoint}/console/${path}`)).status);
  const script = await fetch(`${endpoint}/console/assets/main.js`);
  expect(script.headers.get("content-type")).toContain("text/javascript");
  const known = { "if-none-match": script.headers.get("etag") ?? "" };
  expect((await fetch(`${endpoint}/console/assets/main.js`, { headers: known })).status).toBe(304);
});

test("on a server without a token, only the tab of a browser on this machine gets a token", async () => {
  const { endpoint } = await start();
  const { html, cookie } = await documentFor(endpoint, {});
  expect(tokenIn(html)).toMatch(/^avm_/);
  expect(cookie).toMatch(/; Path=\/console; HttpOnly; SameSite=Strict; Max-Age=\d+$/);
  const refused: Record<string, string>[] = [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-dest": "iframe" },
    { "sec-fetch-dest": "empty", "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" },
    { host: "evil.example" },
  ];
  for (const headers of refused) expect(tokenIn((await documentFor(endpoint, headers)).html)).toBe("");
  // A browser that does not say what the request is for gets none.
  expect(tokenIn(await (await fetch(`${endpoint}/console`)).text())).toBe("");
});

test("on a server with a token, the cookie of a login opens the console, and no other cookie does", async () => {
  const { endpoint, port, client } = await start({ token: "the-token" });
  expect(tokenIn((await documentFor(endpoint, {})).html)).toBe("");
  const login = (authorization: string) =>
    fetch(`${endpoint}/console/login`, { method: "POST", headers: { authorization } });
  expect((await login("Bearer wrong")).status).toBe(401);
  const answer = await login("Bearer the-token");
  const { token } = (await answer.json()) as { token: string };
  expect(token).toMatch(/^avm_/);
  const [, kept = ""] = /=([^;]+);/.exec(answer.headers.get("set-cookie") ?? "") ?? [];
  // A server on another port of the host gets the cookie too.
  expect(kept).not.toContain(token);
  expect(Buffer.from(kept, "base64url").toString("latin1")).not.toContain(token);
  const cookie = (value: string) => ({ cookie: `other=1; agent-vm-console${port}=${value}` });
  expect(tokenIn((await documentFor(endpoint, cookie(kept))).html)).toBe(token);
  for (const other of [token, "the-token", `${kept.slice(0, -6)}AAAAAA`, ""])
    expect(tokenIn((await documentFor(endpoint, cookie(other))).html)).toBe("");
  const [own] = (await client({ token: "the-token" }).tokens.list()).tokens;
  await client({ token: "the-token" }).tokens.revoke(own?.id ?? "");
  expect(tokenIn((await documentFor(endpoint, cookie(kept))).html)).toBe("");
});

test("a token for some VMs stays the token of its console", async () => {
  const { endpoint, client } = await start({ token: "the-token" });
  const { token } = await client({ token: "the-token" }).tokens.create({ vms: "alice", may: ["read"] });
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`${endpoint}/console/login`, { method: "POST", headers });
  expect(await answer.json()).toEqual({ token });
});

test("a logout revokes the token that the console made, and no other token", async () => {
  const { endpoint, client } = await start({ token: "the-token" });
  const owner = client({ token: "the-token" });
  const send = (path: string, token: string) =>
    fetch(endpoint + path, { method: "POST", headers: { authorization: `Bearer ${token}` } });
  const { token } = (await (await send("/console/login", "the-token")).json()) as { token: string };
  const { token: own } = await owner.tokens.create({ vms: "alice", may: ["read"] });
  for (const each of [token, own, "the-token", "avm_forged"])
    expect((await send("/console/logout", each)).status).toBe(204);
  await expect(client({ token }).vm.list()).rejects.toMatchObject({
    code: "unauthorized",
    metadata: { reason: "revoked" },
  });
  expect((await client({ token: own }).vm.list()).vms).toEqual([]);
  expect((await owner.vm.list()).vms).toEqual([]);
});

test("a server without the console has no such paths", async () => {
  const { endpoint } = await start({ console: false });
  for (const path of ["/console", "/console/assets/main.js"])
    expect((await fetch(endpoint + path)).status).toBe(404);
});
