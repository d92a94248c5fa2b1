// @module-tag attack
import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CREATE_TOKEN_INPUT } from "../../../src/api/tokens.ts";
import type { Right, VmClient } from "../../../src/client/index.ts";
import { serverOf } from "../../../src/client/rivet/config.ts";
import { Handles } from "../../../src/client/rivet/handles.ts";
import { type FakeServer, startTestServer } from "../../support/servers.ts";
import { failure } from "../../support/until.ts";

const TOKEN = "administrator's token";
let server: FakeServer;
let aliceId: string;
let bobId: string;
beforeAll(async () => {
  server = await startTestServer({ kind: "fake", options: { token: TOKEN } });
  const { vm } = server.client({ token: TOKEN });
  [aliceId, bobId] = await Promise.all([vm.getOrCreate("alice").resolve(), vm.getOrCreate("bob").resolve()]);
});
afterAll(() => server.stop());

async function tokenFor(vms: Parameters<VmClient<never>["tokens"]["create"]>[0]["vms"], ...may: Right[]) {
  return (await server.client({ token: TOKEN }).tokens.create({ vms, may })).token;
}

test("the token of one VM reaches that VM and no other, by key and by id", async () => {
  const { vm } = server.client({ token: await tokenFor("alice", "admin") });
  for (const handle of [vm.get("alice"), vm.getOrCreate("alice"), vm.getForId(aliceId)]) {
    expect((await handle.exec("echo hi")).stdout).toBe("hi\n");
    expect(await handle.exists("/x")).toBe(false);
    const connection = handle.connect();
    expect((await connection.exec("echo hi")).stdout).toBe("hi\n");
    await connection.dispose();
  }
  for (const handle of [vm.get("bob"), vm.getOrCreate("bob"), vm.getOrCreate("nobody")]) {
    const refused = { code: "forbidden", metadata: { key: expect.any(Array) } };
    expect(await failure(handle.exec("echo hi"))).toMatchObject(refused);
    expect(await failure(handle.exists("/x"))).toMatchObject(refused);
    expect(await failure(handle.connect().exists("/x"))).toMatchObject(refused);
    expect(await failure(handle.resolve())).toMatchObject(refused);
    expect(await failure(handle.fetch("/"))).toMatchObject(refused);
    expect(await failure(handle.webSocket())).toMatchObject(refused);
  }
  expect(await failure(vm.create("carol"))).toMatchObject({ code: "forbidden" });
  // An id out of reach looks like an id that does not exist.
  for (const id of [bobId, "0".repeat(16)]) {
    expect(await failure(vm.getForId(id).exists("/x"))).toMatchObject({ code: "actor_not_found" });
    expect(await failure(vm.getForId(id).connect().exec("echo hi"))).toMatchObject({
      code: "actor_not_found",
    });
  }
});

test("a prefix covers keys that begin with it, part by part", async () => {
  const { vm } = server.client({ token: await tokenFor({ prefix: ["team", "al"] }, "create", "files") });
  await vm.getOrCreate(["team", "al"]).exists("/x");
  await vm.getOrCreate(["team", "al", "deep"]).exists("/x");
  for (const key of [["team"], ["team", "alice"], ["team", "bob"], ["teamal"], ["team/al"], "teamal"]) {
    expect(await failure(vm.getOrCreate(key).exists("/x"))).toMatchObject({ code: "forbidden" });
  }
});

test("a prefix does not cover the empty key, which another client may name", async () => {
  const token = await tokenFor({ prefix: ["team"] }, "create", "files");
  const handle = new Handles(serverOf({ endpoint: server.endpoint, token }), "vm").getOrCreate([]);
  expect(await failure(handle.action({ name: "exists", args: ["/x"] }))).toMatchObject({ code: "forbidden" });
});

test("list shows the VMs of the token, and needs the right to read", async () => {
  const keys = async (token: string, options = {}) =>
    (await server.client({ token }).vm.list(options)).vms.map(({ key }) => key);
  expect(await keys(await tokenFor(["bob", "missing"], "read"))).toEqual([["bob"]]);
  expect(await keys(await tokenFor({ prefix: "alice" }, "admin"))).toEqual([["alice"]]);
  expect(await keys(await tokenFor("alice", "read"), { prefix: "bob" })).toEqual([]);
  expect(await failure(keys(await tokenFor("alice", "exec")))).toMatchObject({
    code: "forbidden",
    metadata: { right: "read", method: "list" },
  });
});

test("only the right to create makes a missing VM", async () => {
  const made = server.vms.all.length;
  const without = server.client({ token: await tokenFor("new", "exec", "files") }).vm;
  for (const call of [() => without.getOrCreate("new").exists("/x"), () => without.create("new")]) {
    expect(await failure(call())).toMatchObject({ code: "forbidden", metadata: { right: "create" } });
  }
  expect(await failure(without.get("new").exists("/x"))).toMatchObject({ code: "actor_not_found" });
  expect(server.vms.all).toHaveLength(made);
  const { vm } = server.client({ token: await tokenFor("new", "create", "files") });
  expect(await vm.getOrCreate("new").exists("/x")).toBe(false);
});

test("a fork needs a key within the token's reach", async () => {
  const { vm } = server.client({ token: await tokenFor(["alice", "alice-2"], "create") });
  expect(await failure(vm.get("alice").fork("elsewhere"))).toMatchObject({
    code: "forbidden",
    metadata: { key: ["elsewhere"] },
  });
});

test("a token is bound to the actors that it names", async () => {
  const { tokens } = server.client({ token: TOKEN });
  const [other, own] = await Promise.all([
    tokens.create({ vms: "alice", may: ["files", "read"], actors: ["gpu"] }),
    tokens.create({ vms: "alice", may: ["files", "read"], actors: ["vm"] }),
  ]);
  const [ofOther, ofOwn] = [other, own].map(({ token }) => server.client({ token }));
  expect(await failure(ofOther!.vm.get("alice").exists("/x"))).toMatchObject({
    code: "forbidden",
  });
  expect((await ofOther!.vm.list()).vms).toEqual([]);
  expect(await ofOwn!.vm.get("alice").exists("/x")).toBe(false);
});

describe("tokens of a token that may admin", () => {
  test("stay within its VMs and its time, and end with it", async () => {
    const { tokens } = server.client({ token: TOKEN });
    const team = await tokens.create({ vms: { prefix: ["crew", ""] }, may: ["admin"], expiresIn: 100 });
    const own = server.client({ token: team.token }).tokens;
    for (const vms of ["alice", { prefix: "cre" }, { prefix: "" }, ["alice", ["crew", "x"]]]) {
      expect(await failure(own.create({ vms, may: ["read"] }))).toMatchObject({ code: "forbidden" });
    }
    const child = await own.create({ vms: [["crew", "x"]], may: ["admin"], expiresIn: 10_000 });
    expect(child.expiresAt).toBeLessThanOrEqual(team.expiresAt);
    const grandchild = await server
      .client({ token: child.token })
      .tokens.create({ vms: [["crew", "x"]], may: ["files"] });
    expect((await own.list()).tokens.map(({ id }) => id)).toEqual([team.id, child.id, grandchild.id]);
    await tokens.revoke(team.id);
    for (const { token } of [team, child, grandchild]) {
      expect(await failure(server.client({ token }).vm.get(["crew", "x"]).exists("/x"))).toMatchObject({
        metadata: { reason: "revoked" },
      });
    }
  });

  test("do not touch tokens of others", async () => {
    const { tokens } = server.client({ token: TOKEN });
    const bobs = await tokens.create({ vms: "bob", may: ["files"] });
    const wide = await tokens.create({ vms: { prefix: "" }, may: ["files"] });
    const same = await tokens.create({ vms: "alice", may: ["files"] });
    const own = server.client({ token: await tokenFor("alice", "admin") }).tokens;
    for (const { id } of [bobs, wide]) {
      expect(await failure(own.revoke(id))).toMatchObject({ code: "token_not_found" });
      expect(await failure(own.renew(id))).toMatchObject({ code: "token_not_found" });
    }
    expect(await failure(own.renew(same.id))).toMatchObject({ code: "forbidden" });
    expect((await own.renew()).expiresAt).toBeGreaterThan(Date.now());
  });

  test("need the right admin", async () => {
    const every: Right[] = ["read", "exec", "terminal", "files", "sessions", "network", "cron", "create"];
    const { tokens } = server.client({ token: await tokenFor("alice", ...every) });
    for (const call of [
      () => tokens.create({ vms: "alice", may: ["read"] }),
      () => tokens.list(),
      () => tokens.revoke("x"),
      () => tokens.renew(),
    ]) {
      expect(await failure(call())).toMatchObject({ code: "forbidden", metadata: { right: "admin" } });
    }
  });
});

describe("refuses", () => {
  const exec = (headers: Record<string, string>, path = `/gateway/${bobId}/action/exec`) =>
    fetch(`${server.endpoint}${path}`, { method: "POST", headers, body: '{"args":["echo hacked"]}' });

  test("a token of one VM for another, wherever the request carries it and whatever it claims", async () => {
    const token = await tokenFor("alice", "admin");
    const params = JSON.stringify({ token });
    const ran = server.vms.ran.length;
    for (const [headers, path] of [
      [{ "x-rivet-token": token }],
      [{ authorization: `Bearer ${token}` }],
      [{ "x-rivet-conn-params": params }],
      [{}, `/gateway/${bobId}@${token}/action/exec`],
      [{ "x-rivet-token": token, "x-rivet-target": "actor", "x-rivet-actor": bobId }, "/action/exec"],
      [{ "x-rivet-token": token, "x-rivet-target": "actor", "x-rivet-actor": aliceId }],
      [{ "x-rivet-token": token, "x-rivet-query": '{"getForKey":{"name":"vm","key":["bob"]}}' }],
      [{ "x-rivet-token": token, "x-agent-vm-visit": "1", "x-agent-vm-grant": '{"unlimited":true}' }],
      [{ "x-rivet-token": token, host: "localhost", "x-forwarded-for": "127.0.0.1" }],
      [{ "x-rivet-token": token }, `/gateway/${aliceId}/../${bobId}/action/exec`],
      [{ "x-rivet-token": token }, `/gateway/${aliceId}%2f..%2f${bobId}/action/exec`],
      [{ "x-rivet-token": token }, `/gateway/${encodeURIComponent(`${bobId}?${aliceId}`)}/action/exec`],
    ] as [Record<string, string>, string?][]) {
      const response = await exec(headers, path);
      expect(response.status, JSON.stringify([Object.keys(headers), path])).toBeGreaterThanOrEqual(400);
    }
    expect(server.vms.ran).toHaveLength(ran);
  });

  test("a WebSocket to another VM with the token in its params", async () => {
    const token = await tokenFor("alice", "admin");
    const params = encodeURIComponent(JSON.stringify({ token, unlimited: true, state: { unlimited: true } }));
    const url = `${server.endpoint.replace("http", "ws")}/gateway/${bobId}/connect`;
    const socket = new WebSocket(url, ["rivet", "rivet_encoding.json", `rivet_conn_params.${params}`]);
    const { reason } = await new Promise<CloseEvent>(
      (resolve) => void socket.addEventListener("close", resolve),
    );
    expect(reason).toBe("actor.not_found");
  });

  test("RivetKit's routes that show more than the token's VMs", async () => {
    const headers = { "x-rivet-token": await tokenFor("alice", "admin") };
    const get = async (path: string) => (await fetch(server.endpoint + path, { headers })).text();
    expect(await get("/actors?name=vm")).toContain("forbidden");
    expect(await get("/actors?name=vm&key=bob")).toContain("forbidden");
    expect(await get(`/actors?actor_ids=${bobId}`)).toBe('{"actors":[]}');
    expect(await get(`/actors?name=vm&actor_ids=${aliceId},${bobId}`)).not.toContain(bobId);
  });

  test("the server's own actions between VMs", async () => {
    const vm = server.client({ token: await tokenFor("alice", "admin") }).vm.get("alice");
    for (const name of ["readFork", "takeFork", "ringCron"]) {
      expect(await failure(vm.action({ name, args: ["0".repeat(64), 0] }))).toMatchObject({
        code: "action_not_found",
      });
    }
  });

  test("tokens that the server has not signed", async () => {
    const token = await tokenFor("alice", "files");
    const [header, claims, signature] = token.slice("avm_".length).split(".") as [string, string, string];
    const text = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const wide = text({ ...JSON.parse(Buffer.from(claims, "base64url").toString()), may: ["admin"] });
    const sign = (content: string, secret: string) =>
      `${content}.${createHmac("sha256", secret).update(content).digest("base64url")}`;
    const head = { typ: "agent-vm+jwt" };
    const forged = [
      `${header}.${wide}.${signature}`,
      `${header}.${claims}.`,
      `${header}.${claims}`,
      `${text({ ...head, alg: "none" })}.${claims}.`,
      `${text({ ...head, alg: "none" })}.${claims}.${signature}`,
      `${text({ ...head, alg: "HS384" })}.${claims}.${signature}`,
      `${text({ ...head, alg: "HS256", typ: "JWT" })}.${claims}.${signature}`,
      sign(`${header}.${claims}`, ""),
      sign(`${header}.${claims}`, TOKEN),
      sign(`${header}.${wide}`, "0".repeat(64)),
      "",
      "..",
      "%00",
      "x".repeat(5000),
    ];
    for (const each of forged) {
      const { vm } = server.client({ token: `avm_${each}` });
      const error = await failure(vm.get("alice").exists("/x"));
      expect(error, each).toMatchObject({ code: "unauthorized", metadata: { reason: "invalid" } });
      expect(error.message + JSON.stringify(error)).not.toContain(each || "avm_");
    }
  });
});

test("neither the log nor an error shows a token", async () => {
  expect(server.log.join("\n")).not.toContain("avm_");
});

test("a key of the options is a string or an array of strings", () => {
  const { args } = CREATE_TOKEN_INPUT;
  const vmsOf = (vms: unknown) => (args.parse([{ vms, may: ["read"] }]) as [{ vms: unknown }])[0].vms;
  expect(vmsOf("a")).toEqual({ keys: [["a"]] });
  expect(vmsOf(["a", ["b", "c"]])).toEqual({ keys: [["a"], ["b", "c"]] });
  expect(vmsOf({ prefix: "a/" })).toEqual({ prefix: ["a/"] });
});
