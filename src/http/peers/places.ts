import type { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import { askAgain } from "../../base/ask-again.ts";
import { Known } from "../../base/known.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { askActor } from "../../client/rivet/http.ts";
import { decodeError } from "../../client/rivet/messages.ts";
import { isCutOff } from "../../rivet/engine-contact.ts";
import { remoteError } from "../../rivet/user-error.ts";
import type { VmName } from "../grant.ts";
import { type EngineActors, engineError, isGone, tooManyStrangers } from "./engine-actors.ts";
import {
  MAX_KNOWN_VMS,
  MAX_PEER_QUESTIONS,
  MAX_STRANGER_QUESTIONS_WAITING,
  MAX_STRANGER_WAKES,
  PEER_ASK_AGAIN_MS,
  PEER_WAKE_MS,
} from "./limits.ts";
import { placeSchema, questionSchema } from "./messages.ts";
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

/** Questions under way, by actor, and the places for them. */
interface Questions {
  asking: Map<string, Promise<Peer | "here" | undefined>>;
  places: Semaphore;
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
  readonly #questions: Questions = { asking: new Map(), places: new Semaphore(MAX_PEER_QUESTIONS) };
  /** Questions for requests without access. They take no place of the others. */
  readonly #strange: Questions = { asking: new Map(), places: new Semaphore(MAX_STRANGER_WAKES) };
  readonly #nonces = new Nonces();

  constructor(deps: PlacesDeps) {
    this.#deps = deps;
  }

  /**
   * Finds the server that has a VM. A sleeping VM wakes.
   *
   * @param hints `left`: id of a server that does not have the VM any more, or does not answer. `isStrange`: whether the request has no access
   * @returns `undefined` if there is no such VM
   * @throws AgentVmError, UserError if the VM does not wake
   */
  async locate(
    actorId: string,
    { left, isStrange = false }: { left?: string; isStrange?: boolean } = {},
  ): Promise<Peer | "here" | undefined> {
    if (left !== undefined) this.forget(actorId, left);
    const known = this.#peers.get(actorId);
    if (known !== undefined) return known;
    const questions = isStrange ? this.#strange : this.#questions;
    const isUnderWay = questions.asking.has(actorId);
    if (isStrange && !isUnderWay && questions.places.waiting >= MAX_STRANGER_QUESTIONS_WAITING)
      throw tooManyStrangers();
    const place = await this.#join(actorId, questions);
    // A question that was under way may have been answered before the VM left that server.
    const isOld = isUnderWay && left !== undefined && Object(place).server === left;
    if (!isOld) return place;
    this.forget(actorId, left);
    return this.#peers.get(actorId) ?? (await this.#join(actorId, questions));
  }

  /** Returns the server that had a VM when this server last asked. */
  known(actorId: string): Peer | undefined {
    return this.#peers.get(actorId);
  }

  /** A server has said that it has a VM. */
  found(actorId: string, { server, url }: Peer): void {
    this.#peers.set(actorId, { server, url });
  }

  /** A server does not have a VM any more, or does not answer. */
  forget(actorId: string, server: string): void {
    if (this.#peers.get(actorId)?.server === server) this.#peers.delete(actorId);
  }

  /** Asks where a VM is, once for all that wait for it. */
  #join(actorId: string, { asking, places }: Questions): Promise<Peer | "here" | undefined> {
    const joined = asking.get(actorId) ?? this.#ask(actorId, places).finally(() => asking.delete(actorId));
    asking.set(actorId, joined);
    return joined;
  }

  /** Answers the question which server has a VM; `undefined` for a request that is no such question. */
  async answer(actorId: string, { name, key }: VmName, request: Request): Promise<Response | undefined> {
    if (!isPlaceRequest(new URL(request.url).pathname)) return undefined;
    const { seal, self } = this.#deps;
    const question = seal.open("question", request.headers.get(PEER_HEADER), questionSchema);
    const isValid = question?.actorId === actorId && this.#nonces.take(question) === undefined;
    if (!isValid || self.url === undefined) return new Response("Not Found", { status: 404 });
    const vm = { name, key: [...key] };
    return new Response(
      seal.seal("place", { nonce: question.nonce, server: self.server, url: self.url, vm }),
    );
  }

  async #ask(actorId: string, places: Semaphore): Promise<Peer | "here" | undefined> {
    const { actors, self } = this.#deps;
    // The VM may take long to wake. An engine that does not answer takes longer.
    if (isCutOff()) await actors.failureOf(actorId);
    const place = await this.#question(actorId, places);
    if (place === undefined) return undefined;
    actors.note(actorId, place.vm);
    if (place.server === self.server) return "here";
    const peer = { server: place.server, url: place.url };
    this.#peers.set(actorId, peer);
    return peer;
  }

  async #question(actorId: string, places: Semaphore): Promise<z.output<typeof placeSchema> | undefined> {
    const { actors } = this.#deps;
    // One end for the wait and for the question.
    const signal = AbortSignal.timeout(PEER_WAKE_MS);
    let release: (() => void) | undefined;
    try {
      await places.acquire(signal);
      release = () => places.release();
      return await askAgain((asking) => this.#askOnce(actorId, asking), PEER_ASK_AGAIN_MS, signal);
    } catch (error) {
      if (isGone(error)) {
        actors.forget(actorId);
        return undefined;
      }
      if (release !== undefined && (await actors.hasNoPlace(actorId)))
        throw new AgentVmError("server_full", "No server has room for another VM");
      const isLate = Object(error).name === "TimeoutError";
      throw isLate ? new AgentVmError("vm_stopped", "The VM did not wake in time") : engineError(error);
    } finally {
      release?.();
    }
  }

  async #askOnce(actorId: string, signal: AbortSignal): Promise<z.output<typeof placeSchema>> {
    const { seal, actors } = this.#deps;
    const question = { ...freshly(), actorId };
    const response = await askActor(actors.engine, actorId, `/request${PATH}`, {
      headers: { [PEER_HEADER]: seal.seal("question", question) },
      signal,
    });
    const body = new Uint8Array(await response.arrayBuffer());
    if (!response.ok) throw refusalOf(response.status, body);
    const place = seal.open("place", new TextDecoder().decode(body), placeSchema);
    if (place?.nonce !== question.nonce) throw noPeer();
    return place;
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
