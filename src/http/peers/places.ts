import type { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import { Known } from "../../base/known.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { askActor } from "../../client/rivet/http.ts";
import { decodeError } from "../../client/rivet/messages.ts";
import { remoteError } from "../../rivet/user-error.ts";
import type { VmName } from "../grant.ts";
import { type EngineActors, engineError, isGone } from "./engine-actors.ts";
import { MAX_KNOWN_VMS, MAX_PEER_FACTS, MAX_PEER_QUESTIONS, PEER_FACTS_MS, PEER_WAKE_MS } from "./limits.ts";
import { type LiveFacts, placeSchema, questionSchema } from "./messages.ts";
import { freshly, Nonces, PEER_HEADER, type PeerSeal } from "./seal.ts";

/** Path of an actor at which a VM says which server has it. */
const PATH = "/agent-vm/where";

/** A server that has VMs. */
export interface Peer {
  /** Id of the server's process. */
  readonly server: string;
  /** Address of its listener for other servers. */
  readonly url: string;
}

/** Returns whether a path that RivetKit hands to an actor asks which server has it. */
export function isPlaceRequest(path: string): boolean {
  return path === PATH || path === `/request${PATH}`;
}

interface PlacesDeps {
  seal: PeerSeal;
  actors: EngineActors;
  /** This server. `url` is absent for a server without VMs. */
  self: { server: string; url: string | undefined };
}

/**
 * Finds the server that has a VM. The engine's API does not say which server has an actor, so the server asks the actor through the
 * engine's gateway, which wakes it. Only a holder of the secret can answer, so no address is taken from anybody else.
 */
export class Places {
  readonly #deps: PlacesDeps;
  readonly #peers = new Known<Peer>(MAX_KNOWN_VMS);
  readonly #asking = new Map<string, Promise<Peer | "here" | undefined>>();
  readonly #questions = { places: new Semaphore(MAX_PEER_QUESTIONS), timeoutMs: PEER_WAKE_MS };
  /** Questions of lists. They take no place of the questions of requests. */
  readonly #facts = { places: new Semaphore(MAX_PEER_FACTS), timeoutMs: PEER_FACTS_MS };
  readonly #nonces = new Nonces();

  constructor(deps: PlacesDeps) {
    this.#deps = deps;
  }

  /**
   * Finds the server that has a VM. A sleeping VM wakes.
   *
   * @returns `undefined` if there is no such VM
   * @throws AgentVmError, UserError if the VM does not wake
   */
  async locate(actorId: string): Promise<Peer | "here" | undefined> {
    const known = this.#peers.get(actorId);
    if (known !== undefined) return known;
    const asking =
      this.#asking.get(actorId) ?? this.#ask(actorId).finally(() => this.#asking.delete(actorId));
    this.#asking.set(actorId, asking);
    return await asking;
  }

  /** A server does not have a VM any more, or does not answer. */
  forget(actorId: string): void {
    this.#peers.delete(actorId);
  }

  /** Answers the question which server has a VM; `undefined` for a request that is no such question. */
  async answer(
    actorId: string,
    { name, key }: VmName,
    request: Request,
    facts: () => Promise<LiveFacts>,
  ): Promise<Response | undefined> {
    if (!isPlaceRequest(new URL(request.url).pathname)) return undefined;
    const { seal, self } = this.#deps;
    const question = seal.open("question", request.headers.get(PEER_HEADER), questionSchema);
    const isValid = question?.actorId === actorId && this.#nonces.take(question) === undefined;
    if (!isValid || self.url === undefined) return new Response("Not Found", { status: 404 });
    const place = {
      ...{ nonce: question.nonce, server: self.server, url: self.url, vm: { name, key: [...key] } },
      ...(question.wantsFacts && { facts: await facts() }),
    };
    return new Response(seal.seal("place", place));
  }

  /** Asks a VM that runs how it is. @returns `undefined` if it does not answer */
  async factsOf(actorId: string): Promise<LiveFacts | undefined> {
    const place = await this.#question(actorId, { wantsFacts: true }, this.#facts).catch(() => undefined);
    return place?.facts;
  }

  async #ask(actorId: string): Promise<Peer | "here" | undefined> {
    const { actors, self } = this.#deps;
    const place = await this.#question(actorId, {}, this.#questions);
    if (place === undefined) return undefined;
    actors.note(actorId, place.vm);
    if (place.server === self.server) return "here";
    const peer = { server: place.server, url: place.url };
    this.#peers.set(actorId, peer);
    return peer;
  }

  async #question(
    actorId: string,
    more: { wantsFacts?: true },
    { places, timeoutMs }: { places: Semaphore; timeoutMs: number },
  ): Promise<z.output<typeof placeSchema> | undefined> {
    const { seal, actors } = this.#deps;
    // One end for the wait and for the question.
    const signal = AbortSignal.timeout(timeoutMs);
    let release = (): void => undefined;
    try {
      await places.acquire(signal);
      release = () => places.release();
      const question = { ...freshly(), actorId, ...more };
      const response = await askActor(actors.engine, actorId, `/request${PATH}`, {
        headers: { [PEER_HEADER]: seal.seal("question", question) },
        signal,
      });
      const body = new Uint8Array(await response.arrayBuffer());
      if (!response.ok) throw refusalOf(response.status, body);
      const place = seal.open("place", new TextDecoder().decode(body), placeSchema);
      if (place?.nonce !== question.nonce) throw noPeer();
      return place;
    } catch (error) {
      if (isGone(error)) {
        actors.forget(actorId);
        return undefined;
      }
      const isLate = Object(error).name === "TimeoutError";
      throw isLate ? new AgentVmError("vm_stopped", "The VM did not wake in time") : engineError(error);
    } finally {
      release();
    }
  }
}

/** Returns the error of the engine, or of a server that does not know the secret. */
function refusalOf(status: number, body: Uint8Array): Error {
  try {
    return remoteError(decodeError("json", body));
  } catch {
    return status === 404
      ? noPeer()
      : new AgentVmError("vm_stopped", `The VM did not wake: the engine answered ${status}`);
  }
}

function noPeer(): AgentVmError {
  return new AgentVmError("connection_lost", "The server that has the VM does not know this server", {
    hint: "Give all servers behind the engine the same AGENT_VM_PEER_SECRET, and clocks that agree.",
  });
}
