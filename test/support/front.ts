import { createServer, type RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { vi } from "vitest";
import type { Server as EngineConfig } from "../../src/client/rivet/config.ts";
import { AccessControl } from "../../src/http/access-control.ts";
import type { Admit } from "../../src/http/http-gate.ts";
import { EngineActors } from "../../src/http/peers/engine-actors.ts";
import { Forwarder } from "../../src/http/peers/forward.ts";
import { guardPeers } from "../../src/http/peers/listener.ts";
import { questionSchema } from "../../src/http/peers/messages.ts";
import { PeerWatch } from "../../src/http/peers/peer-watch.ts";
import { Places } from "../../src/http/peers/places.ts";
import { PeerRouter } from "../../src/http/peers/router.ts";
import { PEER_HEADER, PeerSeal } from "../../src/http/peers/seal.ts";
import { Strangers } from "../../src/http/strangers.ts";
import { listen } from "./listen.ts";

const seal = new PeerSeal(new TextEncoder().encode("a secret of all servers behind one engine"));
const TOKEN = "t".repeat(32);
/** Id of an actor. */
export const idOf = (index: number) => String(index).padStart(30, "a");
/** The one actor that the engine knows. */
export const VM = idOf(1);
export const previewOf = (actorId: string, path = "") => `/gateway/${actorId}/request/fetch/${TOKEN}/${path}`;

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

/**
 * Starts a front, and a server with a VM whose gate answers with `serve`.
 *
 * @param by makes another address at which the front reaches the server
 */
export async function startFront(
  serve: (strangers: Strangers) => RequestListener,
  by: (url: string) => Promise<string> = async (url) => url,
) {
  const inside = new Strangers();
  /** Requests for which the VM has just moved. */
  const moves: true[] = [];
  const answer = serve(inside);
  const peer = createServer(answer);
  peer.on("upgrade", (request, socket) => {
    const response = new ServerResponse(request);
    response.assignSocket(socket as Socket);
    answer(request, response);
  });
  guardPeers(peer, {
    ...{ seal, server: "b", strangers: inside },
    here: async () => (moves.pop() ? undefined : { name: "vm", key: ["one"] }),
    facts: async () => ({}),
    admit: () => undefined,
    onRefused: () => undefined,
  });
  const { engine, config } = await startEngine(await by(await listen(peer)));
  const actors = new EngineActors(config);
  const places = new Places({ seal, actors, self: { server: "a", url: undefined } });
  const access = new AccessControl({
    ...{ token: "t", secret: "s", allowedOrigins: [], behindEngine: true },
  });
  const forwarder = new Forwarder(seal, undefined);
  const strangers = new Strangers();
  const admitted = vi.spyOn(strangers, "admitDuring");
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
