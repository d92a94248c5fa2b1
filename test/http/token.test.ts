// @module-tag attack
import net from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const TOKEN = "correct horse battery staple/+";
let server: FakeServer;
let actorId: string;

beforeAll(async () => {
  server = await startTestServer({ kind: "fake", options: { token: TOKEN } });
  actorId = await server.client({ token: TOKEN }).vm.getOrCreate("guarded").resolve();
});
afterAll(() => server.stop());

/** Every route into the server, with a body if it takes one. */
const ROUTES: [method: string, path: () => string, body?: string][] = [
  ["GET", () => "/actors?name=vm"],
  ["GET", () => `/actors?actor_ids=${actorId}`],
  ["GET", () => "/actors?name=vm&key=guarded"],
  [
    "PUT",
    () => "/actors",
    '{"name":"vm","key":"new","runner_name_selector":"default","crash_policy":"sleep"}',
  ],
  [
    "POST",
    () => "/actors",
    '{"name":"vm","key":"new","runner_name_selector":"default","crash_policy":"sleep"}',
  ],
  ["GET", () => "/actors/names?namespace=default"],
  ["GET", () => `/gateway/${actorId}/`],
  ["GET", () => `/gateway/${actorId}/health`],
  ["GET", () => `/gateway/${actorId}/metadata`],
  ["POST", () => `/gateway/${actorId}/action/exec`, '{"args":["echo hacked"]}'],
  ["POST", () => `/gateway/${actorId}@wrong/action/exec`, '{"args":["echo hacked"]}'],
  ["POST", () => `/gateway/${actorId}/queue/x`, '{"body":1}'],
  ["GET", () => `/gateway/${actorId}/request/anything`],
  ["GET", () => `/gateway/${actorId}/inspector/state`],
  ["GET", () => `/gateway/${actorId}/inspector/summary`],
  ["POST", () => `/gateway/${actorId}/inspector/action/exec`, '{"args":["echo hacked"]}'],
  ["POST", () => `/gateway/${actorId}/inspector/database/execute`, '{"sql":"select 1"}'],
];

describe("a request without the token is refused", () => {
  test.each(
    ROUTES.map(([method, path, body]) => [method, path().replace("undefined", "ID"), path, body] as const),
  )("%s %s", async (method, _name, path, body) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(server.endpoint + path(), { method, headers, ...(body && { body }) });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ group: "user", code: "unauthorized" });
    expect(server.vms.ran).toEqual([]);
  });

  test("before the server reads its body", async () => {
    const socket = net.connect(server.port, "127.0.0.1");
    socket.write("PUT /actors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n{");
    let answer = "";
    for await (const data of socket) answer += data;
    expect(answer).toMatch(/^HTTP\/1\.1 401/);
  });

  test("an actor's storage is refused even with the token", async () => {
    const path = `/actors/${actorId}/kv/keys/AQ==`;
    const headers = { "x-rivet-token": TOKEN, authorization: `Bearer ${TOKEN}` };
    for (const given of [{}, headers]) {
      const response = await fetch(server.endpoint + path, { headers: given });
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(await response.text()).not.toContain("value");
    }
  });

  test("if a header and not the path routes it", async () => {
    const response = await fetch(`${server.endpoint}/action/exec`, {
      method: "POST",
      headers: { "x-rivet-target": "actor", "x-rivet-actor": actorId },
      body: '{"args":["echo hacked"]}',
    });
    expect(response.status).toBe(401);
  });

  test.each(["connect", "websocket/x", "inspector/connect"])("WebSocket /%s", async (path) => {
    const socket = new WebSocket(`${server.endpoint.replace("http", "ws")}/gateway/${actorId}/${path}`, [
      "rivet",
    ]);
    const { code, reason } = await new Promise<CloseEvent>((resolve) => {
      socket.onclose = resolve;
    });
    expect({ code, reason }).toEqual({ code: 1011, reason: "user.unauthorized#missing" });
  });

  test("without loading or making an actor", async () => {
    expect(server.vms.all).toHaveLength(1);
    const keys = await fetch(`${server.endpoint}/actors?name=vm`, { headers: { "x-rivet-token": TOKEN } });
    expect(((await keys.json()) as { actors: unknown[] }).actors).toHaveLength(1);
  });
});

describe("a request with the token is served", () => {
  const run = async (path: string, headers: Record<string, string>) => {
    const response = await fetch(`${server.endpoint}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: '{"args":["echo hi"]}',
    });
    return ((await response.json()) as { output?: { stdout: string } }).output?.stdout;
  };

  test.each<[string, () => string, Record<string, string>]>([
    ["x-rivet-token", () => actorId, { "x-rivet-token": TOKEN }],
    ["Authorization", () => actorId, { authorization: `Bearer ${TOKEN}` }],
    ["the path", () => `${actorId}@${encodeURIComponent(TOKEN)}`, {}],
    ["connection params", () => actorId, { "x-rivet-conn-params": JSON.stringify({ token: TOKEN }) }],
  ])("in %s", async (_name, segment, headers) => {
    expect(await run(`/gateway/${segment()}/action/exec`, headers)).toBe("hi\n");
  });

  test("by this package's client, over HTTP and connections", async () => {
    const agent = server.client({ token: TOKEN }).vm.getOrCreate("guarded");
    expect(await agent.exists("/x")).toBe(false);
    expect((await agent.exec("echo hi")).stdout).toBe("hi\n");
    expect((await agent.connect().exec("echo hi")).stdout).toBe("hi\n");
  });
});

describe("this package's client fails with `unauthorized` and does not retry", () => {
  test.each<[string, string | undefined]>([
    ["no token", undefined],
    ["a wrong token", "wrong"],
  ])("with %s", async (_name, token) => {
    const agent = server.client(token === undefined ? {} : { token }).vm.getOrCreate("guarded");
    for (const call of [
      () => agent.exists("/x"),
      () => agent.exec("echo hi"),
      () => agent.connect().exec("echo hi"),
    ]) {
      expect(await failure(call())).toMatchObject({ name: "AgentVmError", code: "unauthorized" });
    }
    const byId = server.client(token === undefined ? {} : { token }).vm.getForId(actorId);
    expect(await failure(byId.exec("echo hi"))).toMatchObject({ code: "unauthorized" });
    expect(await failure(byId.connect().exec("echo hi"))).toMatchObject({ code: "unauthorized" });
  });

  test("and its connection reports the error", async () => {
    const connection = server.client().vm.getOrCreate("guarded").connect();
    const error = await new Promise<Error>((resolve) => void connection.onError(resolve));
    expect(error).toMatchObject({ name: "AgentVmError", code: "unauthorized" });
    expect(connection.connStatus).toBe("idle");
  });
});
