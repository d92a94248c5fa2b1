import { EndSignal } from "../../base/end-signal.ts";
import { Known } from "../../base/known.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { within } from "../../base/within.ts";
import { listRunners } from "../../client/rivet/http.ts";
import type { EngineActors } from "./engine-actors.ts";
import type { Forwarder } from "./forward.ts";
import {
  MAX_PEER_FACTS,
  MAX_PEER_FACTS_BYTES,
  PEER_FACTS_MS,
  PEER_SILENT_MS,
  VM_FACTS_MS,
} from "./limits.ts";
import { ListFacts } from "./list-facts.ts";
import {
  addressSchema,
  type Facts,
  factsAnswerSchema,
  factsQuestionSchema,
  factsSchema,
  type LiveFacts,
} from "./messages.ts";
import type { Peer, Places } from "./places.ts";
import { freshly, PEER_HEADER, type PeerSeal } from "./seal.ts";

/** Path of the listener for other servers that says how VMs are. */
export const FACTS_PATH = "/agent-vm/facts";

/** Name of the metadata of a runner in which a server tells its address. */
export const ADDRESS = "agent-vm";

/** Silent servers that a server remembers. */
const MAX_SILENT = 1_000;

interface LiveFactsDeps {
  seal: PeerSeal;
  actors: EngineActors;
  places: Pick<Places, "known" | "found" | "forget">;
  forwarder: Forwarder;
  /** Id of this server's process. */
  server: string;
  /** Returns how a VM of this server is; `undefined` if it is not awake here. */
  factsHere(actorId: string, options: { use: boolean }): Promise<LiveFacts> | undefined;
}

/**
 * Asks servers how their VMs are. Requests to the VMs' actors would keep them awake, and wake VMs that have just fallen asleep.
 */
export class ServerFacts {
  readonly #deps: LiveFactsDeps;
  readonly #questions = new Semaphore(MAX_PEER_FACTS);
  /** Servers that have not answered, and when they are asked again. */
  readonly #silent = new Known<number>(MAX_SILENT);

  constructor(deps: LiveFactsDeps) {
    this.#deps = deps;
  }

  /** Begins a list. @param use whether the list shows what VMs use */
  forList(use: boolean): ListFacts {
    return new ListFacts(this, use);
  }

  /** Returns how VMs of this server are. A VM that does not say it in time has no facts. */
  async here(actorIds: readonly string[], use: boolean): Promise<Facts> {
    const found: Facts = {};
    await Promise.all(
      actorIds.map(async (actorId) => {
        const telling = this.#deps.factsHere(actorId, { use });
        const facts = telling && (await within(telling, VM_FACTS_MS).catch(() => undefined));
        if (facts !== undefined) found[actorId] = facts;
      }),
    );
    return found;
  }

  /** Returns the server that had a VM when this server last asked. */
  known(actorId: string): Peer | undefined {
    return this.#deps.places.known(actorId);
  }

  /** Finds the other servers that have told the engine their address. @throws AgentVmError, UserError if the engine does not answer */
  async others(): Promise<Peer[]> {
    const { actors, seal, server } = this.#deps;
    const runners = await actors.ask((engine) => listRunners(engine), { places: this.#questions });
    return runners
      .map(({ metadata }) => seal.open("address", Object(metadata)[ADDRESS], addressSchema))
      .filter((peer) => peer !== undefined)
      .filter((peer) => peer.server !== server);
  }

  /** Asks another server how VMs are. A VM that is not awake there, or whose server does not answer, has no facts. */
  async ask(
    peer: Peer,
    actorIds: readonly string[],
    { use, signal }: { use: boolean; signal: AbortSignal },
  ): Promise<Facts> {
    if (this.#isSilent(peer)) return {};
    try {
      await this.#questions.acquire(signal);
    } catch {
      return {};
    }
    try {
      // The server may have missed another question meanwhile.
      if (this.#isSilent(peer)) return {};
      const end = new EndSignal([signal]).after(PEER_FACTS_MS, () => new Error("the server is late"));
      return await end.during((ends) => this.#read(peer, actorIds, { use, signal: ends }));
    } catch {
      // If only the list's own time is over, nothing is known of the server.
      if (signal.aborted) return {};
      this.#silent.set(peer.server, performance.now() + PEER_SILENT_MS);
      for (const actorId of actorIds) this.#deps.places.forget(actorId, peer.server);
      return {};
    } finally {
      this.#questions.release();
    }
  }

  #isSilent({ server }: Peer): boolean {
    const until = this.#silent.get(server);
    return until !== undefined && until > performance.now();
  }

  /** @throws Error if the server does not answer */
  async #read(
    peer: Peer,
    actorIds: readonly string[],
    { use, signal }: { use: boolean; signal: AbortSignal },
  ): Promise<Facts> {
    const { seal, places, forwarder } = this.#deps;
    const question = { ...freshly(), to: peer.server, actorIds, ...(use && { use }) };
    const headers = { host: "peer", [PEER_HEADER]: seal.seal("facts", question) };
    const request = { path: FACTS_PATH, headers };
    const text = await forwarder.read(peer, request, { signal, maxBytes: MAX_PEER_FACTS_BYTES });
    const answer = seal.open("facts answer", text, factsAnswerSchema);
    if (answer?.nonce !== question.nonce)
      throw new Error("the answer is not from a server with the same secret");
    const found: Facts = {};
    for (const actorId of actorIds) {
      if (answer.facts[actorId] === undefined) {
        places.forget(actorId, peer.server);
        continue;
      }
      places.found(actorId, peer);
      // A newer server may report facts of one VM that this server does not understand.
      const { data } = factsSchema.safeParse(answer.facts[actorId]);
      if (data !== undefined) found[actorId] = data;
    }
    return found;
  }
}

/** Reads a question of another server how VMs are. @returns `undefined` for a question that no server has asked this one */
export function openFactsQuestion(seal: PeerSeal, server: string, text: unknown) {
  const question = seal.open("facts", text, factsQuestionSchema);
  return question?.to === server ? question : undefined;
}
