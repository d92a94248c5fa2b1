import { Semaphore } from "../../base/semaphore.ts";
import { listRunners } from "../../client/rivet/http.ts";
import type { EngineActors } from "./engine-actors.ts";
import type { Forwarder } from "./forward.ts";
import { MAX_PEER_FACTS, MAX_PEER_FACTS_BYTES, PEER_FACTS_MS } from "./limits.ts";
import {
  addressSchema,
  type Facts,
  factsAnswerSchema,
  factsQuestionSchema,
  type LiveFacts,
} from "./messages.ts";
import type { Peer, Places } from "./places.ts";
import { freshly, PEER_HEADER, type PeerSeal } from "./seal.ts";

/** Path of the listener for other servers that says how VMs are. */
export const FACTS_PATH = "/agent-vm/facts";

/** Name of the metadata of a runner in which a server tells its address. */
export const ADDRESS = "agent-vm";

interface LiveFactsDeps {
  seal: PeerSeal;
  actors: EngineActors;
  places: Pick<Places, "known" | "found" | "forget">;
  forwarder: Forwarder;
  /** Id of this server's process. */
  server: string;
  /** Returns how a VM of this server is; `undefined` if it is not awake here. */
  factsHere(actorId: string): Promise<LiveFacts> | undefined;
}

/**
 * Asks servers how their VMs are. Requests to the VMs' actors would keep them awake, and wake VMs that have just fallen asleep.
 */
export class ServerFacts {
  readonly #deps: LiveFactsDeps;
  readonly #questions = new Semaphore(MAX_PEER_FACTS);

  constructor(deps: LiveFactsDeps) {
    this.#deps = deps;
  }

  /** Returns how VMs of this server are. */
  async here(actorIds: readonly string[]): Promise<Facts> {
    const found: Facts = {};
    await Promise.all(
      actorIds.map(async (actorId) => {
        const facts = await this.#deps.factsHere(actorId)?.catch(() => undefined);
        if (facts !== undefined) found[actorId] = facts;
      }),
    );
    return found;
  }

  /** Returns how VMs of all servers are. A VM whose server does not answer has no facts. */
  async of(actorIds: readonly string[]): Promise<Facts> {
    if (actorIds.length === 0) return {};
    const { places } = this.#deps;
    const found = await this.here(actorIds);
    const missing = () => actorIds.filter((actorId) => found[actorId] === undefined);
    const known = new Map<string, { peer: Peer; actorIds: string[] }>();
    for (const actorId of missing()) {
      const peer = places.known(actorId);
      if (peer === undefined) continue;
      const each = known.get(peer.server) ?? { peer, actorIds: [] };
      known.set(peer.server, each);
      each.actorIds.push(actorId);
    }
    await Promise.all(
      [...known.values()].map(async ({ peer, actorIds: asked }) => {
        Object.assign(found, await this.#ask(peer, asked));
      }),
    );
    const rest = missing();
    if (rest.length === 0) return found;
    const servers = await this.#servers().catch(() => []);
    await Promise.all(
      servers.map(async (peer) => {
        Object.assign(found, await this.#ask(peer, rest));
      }),
    );
    return found;
  }

  /** Finds the servers that have told the engine their address. */
  async #servers(): Promise<Peer[]> {
    const { actors, seal, server } = this.#deps;
    const runners = await actors.ask((engine) => listRunners(engine), this.#questions);
    return runners
      .map(({ metadata }) => seal.open("address", Object(metadata)[ADDRESS], addressSchema))
      .filter((peer) => peer !== undefined)
      .filter((peer) => peer.server !== server);
  }

  async #ask(peer: Peer, actorIds: string[]): Promise<Facts> {
    const { seal, places, forwarder } = this.#deps;
    // One end for the wait and for the question.
    const signal = AbortSignal.timeout(PEER_FACTS_MS);
    try {
      await this.#questions.acquire(signal);
    } catch {
      return {};
    }
    try {
      const question = { ...freshly(), to: peer.server, actorIds };
      const headers = { host: "peer", [PEER_HEADER]: seal.seal("facts", question) };
      const request = { path: FACTS_PATH, headers };
      const text = await forwarder.read(peer, request, { signal, maxBytes: MAX_PEER_FACTS_BYTES });
      const answer = seal.open("facts answer", text, factsAnswerSchema);
      if (answer?.nonce !== question.nonce) return {};
      for (const actorId of actorIds) {
        if (answer.facts[actorId] !== undefined) places.found(actorId, peer);
        else places.forget(actorId, peer.server);
      }
      return answer.facts;
    } catch {
      return {};
    } finally {
      this.#questions.release();
    }
  }
}

/** Reads a question of another server how VMs are. @returns `undefined` for a question that no server has asked this one */
export function openFactsQuestion(seal: PeerSeal, server: string, text: unknown) {
  const question = seal.open("facts", text, factsQuestionSchema);
  return question?.to === server ? question : undefined;
}
