// @module-tag slow
import { expect, test } from "vitest";
import { startEngine, startPeer } from "../support/engine.ts";
import { failure } from "../support/until.ts";

const TOKEN = "token of the servers";
const within = { interval: 250 };
const revoked = { code: "unauthorized", metadata: { reason: "revoked" } };

test("a server behind an engine without AGENT_VM_SECRET says how it can make tokens", async (context) => {
  const server = await startPeer(await startEngine(context), { vms: false, env: { AGENT_VM_SECRET: "" } });
  expect(await failure(server.client({ token: TOKEN }).tokens.list())).toMatchObject({
    code: "not_supported",
    metadata: { hint: "Set AGENT_VM_SECRET to one secret on all servers behind the engine." },
  });
});

test("tokens behind an engine are listed, renewed and revoked at every server, and end at all of them", async (context) => {
  const engine = await startEngine(context);
  const first = await startPeer(engine);
  const owner = first.client({ token: TOKEN });
  const vm = owner.vm.getOrCreate("one");
  await expect.poll(() => vm.exec("true").then(() => true, String), within).toBe(true);
  const [second, front] = [await startPeer(engine), await startPeer(engine, { vms: false })];
  const clients = [first, second, front].map((server) => server.client({ token: TOKEN }));

  expect(await front.client({ token: TOKEN }).tokens.list()).toEqual({ tokens: [], cursor: null });
  const options = { vms: "one", may: ["exec" as const], expiresIn: 600, label: "of a front" };
  const made = await front.client({ token: TOKEN }).tokens.create(options);
  const kept = await owner.tokens.create({ vms: { prefix: "one" }, may: ["admin"], label: "kept" });
  const child = await second.client({ token: kept.token }).tokens.create({ vms: "one", may: ["exec"] });
  for (const client of clients) {
    const { tokens } = await client.tokens.list();
    expect(tokens.map(({ id, label }) => [id, label])).toEqual([
      [made.id, "of a front"],
      [kept.id, "kept"],
      [child.id, ""],
    ]);
  }
  const renewed = await second.client({ token: TOKEN }).tokens.renew(made.id);
  expect(renewed.id).toBe(made.id);
  expect(renewed.expiresAt).toBeGreaterThanOrEqual(made.expiresAt);

  const connections = [first, second, front].map((server) =>
    server.client({ token: made.token }).vm.get("one").connect(),
  );
  const errors = connections.map((connection) => {
    const told: unknown[] = [];
    connection.onError((error) => told.push(error));
    return told;
  });
  for (const connection of connections) expect((await connection.exec("echo on")).stdout).toBe("on\n");
  await second.client({ token: TOKEN }).tokens.revoke(made.id);
  for (const told of errors) await expect.poll(() => told.at(-1), within).toMatchObject(revoked);
  for (const server of [first, second, front])
    for (const { token } of [made, renewed]) {
      const call = () => failure(server.client({ token }).vm.get("one").exec("true"));
      await expect.poll(call, within).toMatchObject(revoked);
    }
  expect(await failure(owner.tokens.revoke(made.id))).toMatchObject({ code: "token_not_found" });

  // The notes move with their server's end. A token ends with the token whose client made it.
  expect(await first.stop("SIGTERM")).toBe(0);
  const client = front.client({ token: TOKEN });
  expect((await client.tokens.list()).tokens.map(({ id }) => id)).toEqual([kept.id, child.id]);
  expect((await front.client({ token: child.token }).vm.get("one").exec("echo on")).stdout).toBe("on\n");
  await client.tokens.revoke(kept.id);
  expect(await failure(front.client({ token: child.token }).vm.get("one").exec("true"))).toMatchObject(
    revoked,
  );
  await startPeer(engine).then(async (third) => {
    const call = third.client({ token: child.token }).vm.get("one").exec("true");
    expect(await failure(call)).toMatchObject(revoked);
  });
});

test("the actor that notes tokens answers nobody but servers", async (context) => {
  const engine = await startEngine(context);
  const server = await startPeer(engine);
  const client = server.client({ token: TOKEN });
  await expect
    .poll(() => client.tokens.create({ vms: "a", may: ["read"] }).then(() => true, String), within)
    .toBe(true);
  const response = await fetch(`${engine.endpoint}/actors?namespace=default&name=agent-vm-tokens`);
  const { actors } = (await response.json()) as { actors: { actor_id: string }[] };
  expect(actors).toHaveLength(1);
  const actorId = actors[0]?.actor_id;
  for (const endpoint of [engine.endpoint, server.endpoint]) {
    const path = `${endpoint}/gateway/${actorId}`;
    const headers = { "x-rivet-token": TOKEN };
    const asked = await fetch(`${path}/request/agent-vm/tokens`, {
      method: "POST",
      headers,
      body: "made up",
    });
    // A server passes the request on by RivetKit's own route, which is for clients of VMs.
    expect(asked.status).toBe(endpoint === engine.endpoint ? 404 : 400);
    const other = await fetch(`${path}/request/other`, { headers });
    expect(other.status).toBeGreaterThanOrEqual(400);
    const action = await fetch(`${path}/action/create`, { method: "POST", headers, body: '{"args":[]}' });
    expect(action.status).toBeGreaterThanOrEqual(400);
  }
  expect((await client.vm.list()).vms).toEqual([]);
  const other = client as unknown as Record<
    string,
    { getOrCreate(key: string[]): { resolve(): Promise<string> } }
  >;
  expect(await failure(other["agent-vm-tokens"]!.getOrCreate(["tokens"]).resolve())).toMatchObject({
    code: "actor_type_not_found",
  });
});

test("a log out of the console behind an engine ends its token at every server", async (context) => {
  const engine = await startEngine(context);
  const [server, other] = [await startPeer(engine), await startPeer(engine)];
  const post = (path: string, token: string) =>
    fetch(`${server.endpoint}/console/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
  await expect.poll(async () => (await post("login", TOKEN)).status, within).toBe(200);
  const { token } = (await (await post("login", TOKEN)).json()) as { token: string };
  const made = await other.client({ token: TOKEN }).tokens.create({ vms: "a", may: ["admin"] });
  const call = () => other.client({ token }).tokens.list();
  await call();
  for (const each of [made.token, token]) await post("logout", each);
  await expect.poll(() => call().catch((error: unknown) => error), within).toMatchObject(revoked);
  expect((await other.client({ token: made.token }).tokens.list()).tokens).not.toEqual([]);
});
