import { createServer } from "node:http";
import { beforeEach, expect, test, vi } from "vitest";
import type { Server as EngineConfig } from "../../../src/client/rivet/config.ts";
import { EngineActors } from "../../../src/http/peers/engine-actors.ts";
import { Forwarder } from "../../../src/http/peers/forward.ts";
import { guardPeers } from "../../../src/http/peers/listener.ts";
import { FACTS_PATH, ServerFacts } from "../../../src/http/peers/live-facts.ts";
import type { Facts, LiveFacts } from "../../../src/http/peers/messages.ts";
import { Places } from "../../../src/http/peers/places.ts";
import { freshly, PEER_HEADER, PeerSeal } from "../../../src/http/peers/seal.ts";
import { Strangers } from "../../../src/http/strangers.ts";
import { listen } from "../../support/listen.ts";

vi.mock("../../../src/http/peers/limits.ts", async (load) => ({
  ...(await load<typeof import("../../../src/http/peers/limits.ts")>()),
  PEER_FACTS_MS: 1_000,
  VM_FACTS_MS: 200,
  PEER_SILENT_MS: 60_000,
  PEER_LIST_MS: 30_000,
  MAX_PEER_FACTS: 2,
  MAX_PEER_QUESTIONS: 2,
  MAX_PEER_FACTS_BYTES: 10_000,
}));

const seal = new PeerSeal(new TextEncoder().encode("a secret of all servers behind one engine"));
const AWAKE = { state: "awake" as const, processes: 3, lastUsedAt: 1, labels: { tier: "pro" } };

/** Metadata of the engine's runners. */
let runners: unknown[];
/** Paths of the engine that were asked. */
let asked: string[];

beforeEach(() => {
  runners = [];
  asked = [];
});

/** Starts a server with awake VMs. `none`: it does not answer. @returns its address, and the ids that it was asked about */
async function startServer(server: string, facts: Record<string, unknown> | "none") {
  const questions: (readonly string[])[] = [];
  const wantsUse: boolean[] = [];
  const peer = createServer((_request, response) => void response.writeHead(500).end());
  guardPeers(peer, {
    ...{ seal, server, strangers: new Strangers(), here: async () => undefined },
    async facts(actorIds, use) {
      questions.push(actorIds);
      wantsUse.push(use);
      if (facts === "none") await new Promise(() => undefined);
      const told = Object.entries(facts).filter(([actorId]) => actorIds.includes(actorId));
      return Object.fromEntries(told) as Facts;
    },
    admit: () => undefined,
    onRefused: () => undefined,
  });
  const url = await listen(peer);
  runners.push({ metadata: { rivetkit: {}, "agent-vm": seal.seal("address", { server, url }) } });
  return { url, questions, wantsUse };
}

/** Makes a front. @param own tells how its own VMs are */
async function makeFront(own: (actorId: string) => Promise<LiveFacts> | undefined = () => undefined) {
  const endpoint = await listen(
    createServer(({ url = "" }, response) => {
      const { pathname } = new URL(url, "http://engine");
      asked.push(pathname);
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ runners, actors: [{ actor_id: "one", name: "vm", key: "one" }] }));
    }),
  );
  const actors = new EngineActors({ endpoint, namespace: "default", headers: {} } as EngineConfig);
  const places = new Places({ seal, actors, self: { server: "front", url: undefined } });
  const forwarder = new Forwarder(seal, undefined);
  const servers = new ServerFacts({ seal, actors, places, forwarder, server: "front", factsHere: own });
  const of = (actorIds: string[], use = false) => servers.forList(use).of(actorIds);
  return { ...{ actors, places, servers, of } };
}

test("tells how VMs of all servers are without a request to a VM, and remembers their servers", async () => {
  const first = await startServer("first", { one: AWAKE });
  const second = await startServer("second", { two: { ...AWAKE, processes: 5 } });
  const { of, places } = await makeFront((actorId) =>
    actorId === "own" ? Promise.resolve({ ...AWAKE, processes: 1 }) : undefined,
  );
  const all = { own: { ...AWAKE, processes: 1 }, one: AWAKE, two: { ...AWAKE, processes: 5 } };
  expect(await of(["own", "one", "two"])).toEqual(all);
  expect(asked).toEqual(["/runners"]);
  expect(places.known("two")).toEqual({ server: "second", url: second.url });
  // Now each server is asked about its own VMs alone, and the engine nothing.
  expect(await of(["own", "one", "two"])).toEqual(all);
  expect(asked).toEqual(["/runners"]);
  expect([first.questions.at(-1), second.questions.at(-1)]).toEqual([["one"], ["two"]]);
});

test("finds a VM that has moved", async () => {
  const gone: Facts = { one: AWAKE };
  await startServer("first", gone);
  const { of, places } = await makeFront();
  await of(["one"]);
  delete gone.one;
  const second = await startServer("second", { one: AWAKE });
  expect(await of(["one"])).toEqual({ one: AWAKE });
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
  const { of } = await makeFront();
  expect(await of(["silent", "large", "good"])).toEqual({ good: AWAKE });
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

test("asks a server that does not answer once, and the engine once in a list", async () => {
  const dead = await startServer("dead", "none");
  const good = await startServer("good", { good: AWAKE, other: AWAKE });
  const { servers, places } = await makeFront();
  for (const actorId of ["lost", "late"]) places.found(actorId, { server: "dead", url: dead.url });
  const list = servers.forList(false);
  expect(await list.of(["lost", "good"])).toEqual({ good: AWAKE });
  expect(places.known("lost")).toBe(undefined);
  expect(await list.of(["late", "other"])).toEqual({ other: AWAKE });
  expect(dead.questions).toEqual([["lost"]]);
  expect(good.questions).toEqual([
    ["lost", "good"],
    ["late", "other"],
  ]);
  expect(asked).toEqual(["/runners"]);
  expect(list.isOver).toBe(false);
  // Other lists remember the silence.
  expect(await servers.forList(false).of(["late", "good"])).toEqual({ good: AWAKE });
  expect(dead.questions).toHaveLength(1);
});

test("finds a VM on another server while its last one does not answer", async () => {
  const dead = await startServer("dead", "none");
  await startServer("good", { moved: AWAKE });
  const { of, places } = await makeFront();
  places.found("moved", { server: "dead", url: dead.url });
  expect(await of(["moved"])).toEqual({ moved: AWAKE });
  expect(places.known("moved")).toMatchObject({ server: "good" });
});

test("asks no server twice about a VM that it does not have", async () => {
  const first = await startServer("first", {});
  const { of, places } = await makeFront();
  places.found("one", { server: "first", url: first.url });
  expect(await of(["one"])).toEqual({});
  expect(first.questions).toEqual([["one"]]);
});

test("a VM that does not say how it is hides no other VM, neither here nor on another server", async () => {
  const { of, servers } = await makeFront((actorId) =>
    actorId.startsWith("slow") ? new Promise(() => undefined) : Promise.resolve(AWAKE),
  );
  expect(await of(["slow", "one", "two"])).toEqual({ one: AWAKE, two: AWAKE });
  const peer = createServer();
  guardPeers(peer, {
    ...{ seal, server: "busy", strangers: new Strangers(), here: async () => undefined },
    facts: (actorIds, use) => servers.here(actorIds, use),
    admit: () => undefined,
    onRefused: () => undefined,
  });
  const url = await listen(peer);
  runners.push({ metadata: { "agent-vm": seal.seal("address", { server: "busy", url }) } });
  const front = await makeFront();
  expect(await front.of(["slow", "one", "two"])).toEqual({ one: AWAKE, two: AWAKE });
});

test("takes facts that it understands from a server that tells more, VM by VM", async () => {
  const newer = { ...AWAKE, mood: "good" };
  await startServer("newer", { newer, odd: { ...AWAKE, state: "paused" }, none: null, plain: AWAKE });
  const { of, places } = await makeFront();
  expect(await of(["newer", "odd", "none", "plain"])).toEqual({ newer: AWAKE, plain: AWAKE });
  expect(places.known("odd")).toMatchObject({ server: "newer" });
});

test("asks what VMs use only for a list that shows it", async () => {
  const { wantsUse } = await startServer("first", { one: AWAKE });
  const { of } = await makeFront();
  await of(["one"], true);
  await of(["one"]);
  expect(wantsUse).toEqual([true, false]);
});

test("asks about more VMs than one question has in several questions", async () => {
  const all = Array.from({ length: 250 }, (_, index) => `vm-${index}`);
  const first = await startServer("first", Object.fromEntries(all.map((actorId) => [actorId, null])));
  const { of } = await makeFront();
  expect(await of(all)).toEqual({});
  expect(first.questions.map(({ length }) => length).sort()).toEqual([100, 100, 50]);
});

test("lists with servers that do not answer leave places to requests, and each list ends", async () => {
  const dead = await Promise.all(["a", "b", "c"].map((server) => startServer(server, "none")));
  const { of, actors } = await makeFront();
  const lists = Promise.all(Array.from({ length: 6 }, (_, index) => of([`lost-${index}`])));
  await expect.poll(() => dead.flatMap(({ questions }) => questions).length, { interval: 5 }).toBe(2);
  expect(await actors.look("one")).toEqual({ name: "vm", key: ["one"] });
  expect(await lists).toEqual(Array(6).fill({}));
});
