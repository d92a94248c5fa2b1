import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Server as EngineConfig } from "../../../src/client/rivet/config.ts";
import { EngineActors } from "../../../src/http/peers/engine-actors.ts";
import { EngineList } from "../../../src/http/peers/engine-list.ts";
import { Forwarder } from "../../../src/http/peers/forward.ts";
import { ServerFacts } from "../../../src/http/peers/live-facts.ts";
import type { LiveFacts } from "../../../src/http/peers/messages.ts";
import { Places } from "../../../src/http/peers/places.ts";
import { PeerSeal } from "../../../src/http/peers/seal.ts";

vi.mock("../../../src/http/peers/limits.ts", async (load) => ({
  ...(await load<typeof import("../../../src/http/peers/limits.ts")>()),
  PEER_LIST_MS: 500,
  PEER_WAKE_MS: 3_000,
  MAX_PEER_FACTS: 2,
  MAX_PEER_QUESTIONS: 2,
}));

const AWAKE: LiveFacts = { state: "awake", processes: 1, lastUsedAt: 9, labels: {}, storedBytes: 1 };

/** VMs of this server: the actors that a list first asks for, but those of the last millisecond. */
const OWN = 99;

/** Lists 150 awake VMs, of which this server has the newest. The engine does not say which other servers there are. */
async function makeList() {
  const awake = Array.from({ length: 150 }, (_, index) => ({
    actor_id: `vm-${index}`,
    ...{ name: "vm", key: `vm-${index}`, create_ts: 1_000 - index, connectable_ts: 5_000 },
  }));
  /** Questions without an answer. */
  const asked: string[] = [];
  const engine = createServer(({ url = "" }, response) => {
    const { pathname, searchParams } = new URL(url, "http://engine");
    if (pathname === "/runners") return void asked.push(pathname);
    const missing = { group: "actor", code: "kv_key_not_found", message: "The KV key does not exist." };
    response.writeHead(pathname === "/actors" ? 200 : 404, { "content-type": "application/json" });
    if (pathname !== "/actors") return void response.end(JSON.stringify(missing));
    const before = Number(searchParams.get("cursor") ?? Number.POSITIVE_INFINITY);
    const actors = awake.filter(({ create_ts: madeAt }) => madeAt < before).slice(0, 100);
    response.end(JSON.stringify({ actors }));
  });
  await once(engine.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    engine.closeAllConnections();
    engine.close();
  });
  const endpoint = `http://127.0.0.1:${(engine.address() as AddressInfo).port}`;
  const actors = new EngineActors({ endpoint, namespace: "default", headers: {} } as EngineConfig);
  const seal = new PeerSeal(new TextEncoder().encode("a secret of all servers behind one engine"));
  const servers = new ServerFacts({
    ...{ seal, actors, forwarder: new Forwarder(seal, undefined), server: "front" },
    places: new Places({ seal, actors, self: { server: "front", url: undefined } }),
    factsHere: (actorId) => (Number(actorId.slice(3)) < OWN ? Promise.resolve(AWAKE) : undefined),
  });
  const list = new EngineList(actors, servers);
  const page = (cursor?: string | null) =>
    list.list("vm", { limit: 1_000, use: false, ...(cursor && { cursor }) }, () => true);
  return { actors, servers, page, asked };
}

test("a page ends early when servers take too long, so that no awake VM of it seems to sleep", async () => {
  const { page } = await makeList();
  const first = await page();
  expect(first.vms.map(({ state, lastUsedAt }) => ({ state, lastUsedAt }))).toEqual(
    Array(OWN).fill({ state: "awake", lastUsedAt: 9 }),
  );
  // The next page goes on, and a VM without facts was used when it woke, at the earliest.
  const second = await page(first.cursor);
  expect(second.vms.map(({ state, lastUsedAt }) => ({ state, lastUsedAt }))).toEqual(
    Array(150 - OWN).fill({ state: "sleeping", lastUsedAt: 5_000 }),
  );
});

test("lists that wait for the engine leave places to other questions", async () => {
  const { actors, servers, asked } = await makeList();
  const lists = Promise.all(Array.from({ length: 6 }, () => servers.forList(false).of(["lost"])));
  await expect.poll(() => asked.length, { interval: 5 }).toBe(2);
  // The engine still owes the answers to both lists that it has heard of.
  expect(await actors.find({ name: "vm", key: ["vm-0"] })).toBe("vm-0");
  expect(await lists).toEqual(Array(6).fill({}));
});
