// @module-tag attack
import { expect, test } from "vitest";
import type { Authorize, AuthorizeRequest } from "../../src/http/authorize.ts";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const start = (authorize: Authorize, options: object = {}): Promise<FakeServer> =>
  startTestServer({ kind: "fake", options: { authorize, ...options } });

/** Admits `user:NAME` to VMs whose key begins with the name. */
const byName: Authorize = ({ token }) => {
  const user = /^user:(\w+)$/.exec(token ?? "")?.[1];
  return user === undefined
    ? null
    : { identity: { user }, vms: { prefix: [user, ""] }, may: ["create", "exec", "read"] };
};

test("the answer of authorize is what a client may do", async () => {
  const server = await start(byName);
  const { vm } = server.client({ token: "user:alice" });
  const own = vm.getOrCreate(["alice", "1"]);
  expect((await own.exec("echo hi")).stdout).toBe("hi\n");
  const connection = own.connect();
  expect((await connection.exec("echo hi")).stdout).toBe("hi\n");
  expect(await failure(own.mkdir("/x"))).toMatchObject({ code: "forbidden", metadata: { right: "files" } });
  expect(await failure(vm.getOrCreate(["bob", "1"]).exec("echo hi"))).toMatchObject({ code: "forbidden" });
  await server.client({ token: "user:bob" }).vm.getOrCreate(["bob", "1"]).exists("/x");
  expect((await vm.list()).vms.map(({ key }) => key)).toEqual([["alice", "1"]]);
});

test("null, nothing and an error refuse, also on loopback, and the log has no token", async () => {
  const answers = new Map<string, () => unknown>([
    ["null", () => null],
    ["nothing", () => undefined],
    ["throws", () => Promise.reject(new Error("bad token: throws"))],
    ["malformed", () => ({ identity: "x", vms: "a", may: ["root"] })],
    ["extra", () => ({ identity: "x", vms: "a", may: ["exec"], admin: true })],
    ["huge", () => ({ identity: "x".repeat(5000), vms: "a", may: ["exec"] })],
    ["over", () => ({ identity: "x", vms: "a", may: ["exec"], expiresAt: 1 })],
  ]);
  const server = await start(({ token }) => answers.get(token ?? "null")?.() as null);
  for (const token of [undefined, ...answers.keys()]) {
    const handle = server.client(token === undefined ? {} : { token }).vm.getOrCreate("a");
    expect(await failure(handle.exec("echo hi"))).toMatchObject({ code: "unauthorized" });
    expect(await failure(handle.connect().exists("/x"))).toMatchObject({ code: "unauthorized" });
  }
  expect(server.vms.all).toHaveLength(0);
  expect(server.log.join("\n")).toContain("bad token: [token]");
});

test("authorize gets headers, the token and the VM, once for each request", async () => {
  const asked: AuthorizeRequest[] = [];
  const server = await start((request) => {
    asked.push(request);
    return { identity: null, vms: "a", may: ["admin"] };
  });
  const client = server.client({ token: "mine", headers: { "x-tenant": "t1" } });
  const actorId = await client.vm.getOrCreate("a").resolve();
  expect(asked).toHaveLength(1);
  expect(asked[0]?.vm).toBeUndefined();
  expect(asked[0]?.headers.get("X-Tenant")).toBe("t1");
  await fetch(`${server.endpoint}/gateway/${actorId}/action/exists`, {
    method: "POST",
    headers: { authorization: "Bearer mine" },
    body: '{"args":["/x"]}',
  });
  expect(asked).toHaveLength(2);
  expect(asked[1]).toMatchObject({ token: "mine", vm: { name: "vm", key: ["a"] } });
});

test("a connection ends when the answer of authorize does", async () => {
  const server = await start(() => ({
    identity: "x",
    vms: "a",
    may: ["admin"],
    expiresAt: Date.now() + 1000,
  }));
  const connection = server.client().vm.getOrCreate("a").connect();
  const error = await new Promise((resolve) => void connection.onError(resolve));
  expect(error).toMatchObject({ code: "unauthorized" });
});

test("the server's token and tokens that it has made are not asked about", async () => {
  let asked = 0;
  const server = await start(
    () => {
      asked += 1;
      return null;
    },
    { token: "t0ken" },
  );
  const { tokens, vm } = server.client({ token: "t0ken" });
  await vm.getOrCreate("a").exists("/x");
  const { token, id } = await tokens.create({ vms: "a", may: ["files"] });
  await server.client({ token }).vm.get("a").exists("/x");
  await tokens.revoke(id);
  expect(await failure(server.client({ token }).vm.get("a").exists("/x"))).toMatchObject({
    metadata: { reason: "revoked" },
  });
  expect(asked).toBe(0);
});

test("without a server's token, loopback makes tokens and is held to a token that it presents", async () => {
  const server = await startTestServer({ kind: "fake" });
  const { tokens, vm } = server.client();
  await vm.getOrCreate("a").exists("/x");
  const { token, id } = await tokens.create({ vms: "a", may: ["exec"] });
  const held = server.client({ token }).vm;
  expect((await held.get("a").exec("echo hi")).stdout).toBe("hi\n");
  expect(await failure(held.get("a").exists("/x"))).toMatchObject({ code: "forbidden" });
  expect(await failure(held.get("b").exists("/x"))).toMatchObject({ code: "forbidden" });
  await tokens.revoke(id);
  expect(await failure(held.get("a").exists("/x"))).toMatchObject({ code: "unauthorized" });
});

test("a request reaches no other VM than the VM that authorize was asked about", async () => {
  const server = await start(({ token, vm }) =>
    token === "owner" || vm?.key[0] === "alice"
      ? { identity: null, vms: { prefix: "" }, may: ["admin"] }
      : null,
  );
  const { vm } = server.client({ token: "owner" });
  const [alice, bob] = await Promise.all(["alice", "bob"].map((key) => vm.getOrCreate(key).resolve()));
  const exec = (path: string, headers: Record<string, string> = {}) =>
    fetch(server.endpoint + path, { method: "POST", headers, body: '{"args":["echo hacked"]}' });
  expect((await exec(`/gateway/${alice}/action/exec`)).status).toBe(200);
  const ran = server.vms.ran.length;
  const target = { "x-rivet-target": "actor", "x-rivet-actor": bob! };
  for (const [path, headers] of [
    [`/gateway/${bob}/action/exec`, {}],
    [`/gateway/${alice}//action/exec`, target],
    [`/gateway/${alice}/../../action/exec`, target],
    ["/action/exec", target],
  ] as const) {
    expect((await exec(path, headers)).status, path).toBeGreaterThanOrEqual(400);
  }
  expect(server.vms.ran).toHaveLength(ran);
});
