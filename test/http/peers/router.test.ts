// @module-tag attack
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import net, { type AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Server as EngineConfig } from "../../../src/client/rivet/config.ts";
import { AccessControl } from "../../../src/http/access-control.ts";
import type { Admit } from "../../../src/http/http-gate.ts";
import { EngineActors } from "../../../src/http/peers/engine-actors.ts";
import { Forwarder } from "../../../src/http/peers/forward.ts";
import { guardPeers } from "../../../src/http/peers/listener.ts";
import { questionSchema } from "../../../src/http/peers/messages.ts";
import { PeerWatch } from "../../../src/http/peers/peer-watch.ts";
import { Places } from "../../../src/http/peers/places.ts";
import { PeerRouter } from "../../../src/http/peers/router.ts";
import { PEER_HEADER, PeerSeal } from "../../../src/http/peers/seal.ts";
import { Strangers } from "../../../src/http/strangers.ts";

vi.mock("../../../src/http/peers/limits.ts", async (load) => ({
  ...(await load<typeof import("../../../src/http/peers/limits.ts")>()),
  MAX_STRANGER_QUESTIONS: 2,
  MAX_STRANGER_QUESTIONS_WAITING: 3,
  MAX_PEER_QUESTIONS: 2,
  MAX_PEER_FACTS: 2,
  PEER_WAKE_MS: 1_500,
  PEER_FACTS_MS: 300,
}));

const seal = new PeerSeal(new TextEncoder().encode("a secret of all servers behind one engine"));
const TOKEN = "t".repeat(32);
const idOf = (index: number) => String(index).padStart(30, "a");
const VM = idOf(1);
const previewOf = (actorId: string, path = "") => `/gateway/${actorId}/request/fetch/${TOKEN}/${path}`;

async function listen(server: Server): Promise<string> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Starts what answers like the engine: it knows one actor, and keeps some questions without an answer. */
async function startEngine(peerUrl: string) {
  const asked: string[] = [];
  const engine = { asked, holds: (_actorId: string): boolean => false };
  const endpoint = await listen(
    createServer((request, response) => {
      const url = new URL(request.url ?? "", "http://engine");
      const actorId = url.searchParams.get("actor_ids") ?? url.pathname.split("/")[2] ?? "";
      asked.push(actorId);
      if (engine.holds(actorId)) return;
      if (url.pathname === "/actors") {
        const actors = actorId === VM ? [{ actor_id: VM, name: "vm", key: "one" }] : [];
        return void response.end(JSON.stringify({ actors }));
      }
      const question = seal.open("question", request.headers[PEER_HEADER], questionSchema);
      const { nonce = "" } = question ?? {};
      response.end(
        seal.seal("place", { nonce, server: "b", url: peerUrl, vm: { name: "vm", key: ["one"] } }),
      );
    }),
  );
  return { ...{ endpoint, engine }, config: { endpoint, namespace: "default", headers: {} } as EngineConfig };
}

/** Starts a front, and a server with a VM whose gate answers with `serve`. */
async function startFront(serve: (strangers: Strangers) => RequestListener) {
  const inside = new Strangers();
  /** Requests for which the VM has just moved. */
  const moves: true[] = [];
  const peer = createServer(serve(inside));
  guardPeers(peer, {
    ...{ seal, server: "b", strangers: inside },
    here: async () => (moves.pop() ? undefined : { name: "vm", key: ["one"] }),
    admit: () => undefined,
    onRefused: () => undefined,
  });
  const { engine, config } = await startEngine(await listen(peer));
  const actors = new EngineActors(config);
  const places = new Places({ seal, actors, self: { server: "a", url: undefined } });
  const access = new AccessControl({
    ...{ token: "t", secret: "s", allowedOrigins: [], behindEngine: true },
  });
  const forwarder = new Forwarder(seal, undefined);
  const strangers = new Strangers();
  const admitted = vi.spyOn(strangers, "admit");
  const front = createServer((_request, response) => void response.writeHead(404).end("passed"));
  strangers.watch(front);
  const admit: Admit = (message, request) => access.admitOnce(message, request);
  new PeerRouter({
    ...{ access, actors, places, forwarder, watch: new PeerWatch(forwarder), strangers, admit },
    here: async () => undefined,
    isVm: (name) => name === "vm",
    reaches: () => true,
  }).guard(front);
  return { url: await listen(front), engine, actors, places, admitted, moves };
}

const FORBIDDEN = () => ((_request, response) => void response.writeHead(403).end()) as RequestListener;

test("asks the engine about ids only, and once about an actor that it does not know", async () => {
  const { url, engine } = await startFront(FORBIDDEN);
  for (const actorId of ["short", idOf(7).toUpperCase(), `${idOf(7)}a`])
    expect(await (await fetch(url + previewOf(actorId))).text()).toBe("passed");
  expect(engine.asked).toEqual([]);
  for (let count = 0; count < 3; count++)
    expect(await (await fetch(url + previewOf(idOf(7)))).text()).toBe("passed");
  expect(engine.asked).toEqual([idOf(7)]);
});

test("refuses previews of unknown actors past a few, and answers other questions meanwhile", async () => {
  const { url, engine, actors } = await startFront(FORBIDDEN);
  engine.holds = (actorId) => actorId !== VM;
  const looks = vi.spyOn(actors, "lookForStranger");
  const held = Array.from({ length: 5 }, () => net.connect(Number(new URL(url).port), "127.0.0.1"));
  for (const [index, socket] of held.entries()) {
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.write(`GET ${previewOf(idOf(10 + index))} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }
  await expect.poll(() => looks.mock.calls.length, { interval: 5 }).toBe(5);
  const surplus = await fetch(url + previewOf(idOf(99)));
  expect([surplus.status, await surplus.text()]).toEqual([
    429,
    expect.stringContaining("MAX_STRANGER_QUESTIONS_WAITING"),
  ]);
  expect(engine.asked).not.toContain(idOf(99));
  expect(await actors.look(VM)).toEqual({ name: "vm", key: ["one"] });
});

test("lists with VMs that do not answer leave places to requests, and each question ends", async () => {
  const { engine, places } = await startFront(FORBIDDEN);
  engine.holds = (actorId) => actorId !== VM;
  const facts = Array.from({ length: 6 }, (_, index) => places.factsOf(idOf(20 + index)));
  await expect.poll(() => engine.asked.length).toBe(2);
  expect(await places.locate(VM)).toMatchObject({ server: "b" });
  expect(await Promise.all(facts)).toEqual(facts.map(() => undefined));
  const late = Array.from({ length: 4 }, (_, index) => places.locate(idOf(30 + index)));
  for (const result of await Promise.allSettled(late))
    expect(result).toMatchObject({ reason: { code: "vm_stopped" } });
  // The questions that waited until the end were never asked.
  expect(engine.asked.filter((actorId) => Number(actorId.slice(-2)) >= 30)).toHaveLength(2);
});

test("counts a client as one without access until the VM has taken its token, whatever the answer is", async () => {
  const { url, admitted } = await startFront((strangers) => (request, response) => {
    const [path = "", status] = (request.url ?? "").split("/").slice(-2);
    if (path === "open") strangers.of(request.socket).admit();
    response.writeHead(Number(status)).end();
  });
  for (const status of [204, 307, 401, 403, 429, 502, 503, 200]) {
    const refused = await fetch(url + previewOf(VM, `closed/${status}`), { redirect: "manual" });
    expect([refused.status, admitted.mock.calls.length]).toEqual([status, 0]);
  }
  for (const status of [200, 304, 404, 500]) {
    admitted.mockClear();
    const answered = await fetch(url + previewOf(VM, `open/${status}`));
    expect([answered.status, admitted.mock.calls.length]).toEqual([status, 1]);
  }
});

test("tries a request once more that has not begun, and then gives up", async () => {
  const { url, engine, moves } = await startFront(
    () => (_request, response) => void response.end("from the VM"),
  );
  moves.push(true);
  expect(await (await fetch(url + previewOf(VM))).text()).toBe("from the VM");
  // The id, and twice the place.
  expect(engine.asked).toEqual([VM, VM, VM]);
  moves.push(true, true);
  expect(await (await fetch(url + previewOf(VM))).text()).toContain("connection_lost");
  expect(moves).toEqual([]);
});
