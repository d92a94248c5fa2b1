import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { Server as EngineConfig } from "../../../src/client/rivet/config.ts";
import { EngineActors } from "../../../src/http/peers/engine-actors.ts";
import { Forwarder } from "../../../src/http/peers/forward.ts";
import { guardPeers } from "../../../src/http/peers/listener.ts";
import { FACTS_PATH, ServerFacts } from "../../../src/http/peers/live-facts.ts";
import type { Facts } from "../../../src/http/peers/messages.ts";
import { Places } from "../../../src/http/peers/places.ts";
import { freshly, PEER_HEADER, PeerSeal } from "../../../src/http/peers/seal.ts";
import { Strangers } from "../../../src/http/strangers.ts";

vi.mock("../../../src/http/peers/limits.ts", async (load) => ({
  ...(await load<typeof import("../../../src/http/peers/limits.ts")>()),
  PEER_FACTS_MS: 500,
  MAX_PEER_FACTS_BYTES: 10_000,
}));

const seal = new PeerSeal(new TextEncoder().encode("a secret of all servers behind one engine"));
const AWAKE = { state: "awake" as const, processes: 3, lastUsedAt: 1, labels: { tier: "pro" } };

async function listen(server: Server): Promise<string> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Metadata of the engine's runners. */
let runners: unknown[];
/** Paths of the engine that were asked. */
let asked: string[];

beforeEach(() => {
  runners = [];
  asked = [];
});

/** Starts a server with awake VMs. @returns its address, and the ids that it was asked about */
async function startServer(server: string, facts: Facts | "none") {
  const questions: (readonly string[])[] = [];
  const peer = createServer((_request, response) => void response.writeHead(500).end());
  guardPeers(peer, {
    ...{ seal, server, strangers: new Strangers(), here: async () => undefined },
    async facts(actorIds) {
      questions.push(actorIds);
      if (facts === "none") await new Promise(() => undefined);
      return Object.fromEntries(Object.entries(facts).filter(([actorId]) => actorIds.includes(actorId)));
    },
    admit: () => undefined,
    onRefused: () => undefined,
  });
  const url = await listen(peer);
  runners.push({ metadata: { rivetkit: {}, "agent-vm": seal.seal("address", { server, url }) } });
  return { url, questions };
}

/** Makes a front, with VMs of its own. */
async function makeFront(own: Facts = {}) {
  const endpoint = await listen(
    createServer(({ url = "" }, response) => {
      const { pathname } = new URL(url, "http://engine");
      asked.push(pathname);
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ runners }));
    }),
  );
  const actors = new EngineActors({ endpoint, namespace: "default", headers: {} } as EngineConfig);
  const places = new Places({ seal, actors, self: { server: "front", url: undefined } });
  const forwarder = new Forwarder(seal, undefined);
  const factsHere = (actorId: string) => own[actorId] && Promise.resolve(own[actorId]);
  return { places, facts: new ServerFacts({ seal, actors, places, forwarder, server: "front", factsHere }) };
}

test("tells how VMs of all servers are without a request to a VM, and remembers their servers", async () => {
  const first = await startServer("first", { one: AWAKE });
  const second = await startServer("second", { two: { ...AWAKE, processes: 5 } });
  const { facts, places } = await makeFront({ own: { ...AWAKE, processes: 1 } });
  const all = { own: { ...AWAKE, processes: 1 }, one: AWAKE, two: { ...AWAKE, processes: 5 } };
  expect(await facts.of(["own", "one", "two"])).toEqual(all);
  expect(asked).toEqual(["/runners"]);
  expect(places.known("two")).toEqual({ server: "second", url: second.url });
  // Now each server is asked about its own VMs alone, and the engine nothing.
  expect(await facts.of(["own", "one", "two"])).toEqual(all);
  expect(asked).toEqual(["/runners"]);
  expect([first.questions.at(-1), second.questions.at(-1)]).toEqual([["one"], ["two"]]);
});

test("finds a VM that has moved", async () => {
  const gone: Facts = { one: AWAKE };
  await startServer("first", gone);
  const { facts, places } = await makeFront();
  await facts.of(["one"]);
  delete gone.one;
  const second = await startServer("second", { one: AWAKE });
  expect(await facts.of(["one"])).toEqual({ one: AWAKE });
  expect(places.known("one")).toEqual({ server: "second", url: second.url });
});

test("leaves out VMs of servers that do not answer, answer too much, or have another secret", async () => {
  await startServer("silent", "none");
  await startServer("large", { large: { ...AWAKE, labels: { text: "x".repeat(20_000) } } });
  const foreign = new PeerSeal(new TextEncoder().encode("another secret, which is as long as the first"));
  const url = await listen(createServer((_request, response) => void response.end("x")));
  runners.push({ metadata: { "agent-vm": foreign.seal("address", { server: "foreign", url }) } });
  runners.push({ metadata: { "agent-vm": seal.seal("address", { server: "impostor", url }) } });
  runners.push({}, { metadata: null }, { metadata: { "agent-vm": 1 } });
  await startServer("good", { good: AWAKE });
  const { facts } = await makeFront();
  expect(await facts.of(["silent", "large", "good"])).toEqual({ good: AWAKE });
});

test("refuses a question that no server has asked, and a repeated one", async () => {
  const { url, questions } = await startServer("first", { one: AWAKE });
  const ask = async (text: string) =>
    (await fetch(`${url}${FACTS_PATH}`, { headers: { [PEER_HEADER]: text } })).status;
  const question = { ...freshly(), to: "first", actorIds: ["one"] };
  const good = seal.seal("facts", question);
  expect([await ask(good), await ask(good)]).toEqual([200, 401]);
  for (const bad of [
    "",
    "x.y",
    seal.seal("question", question),
    seal.seal("facts", { ...question, to: "second" }),
  ])
    expect(await ask(bad)).toBe(401);
  expect(questions).toEqual([["one"]]);
});
