import { AgentVmError, limitExceeded } from "../../api/errors.ts";
import { askAgain } from "../../base/ask-again.ts";
import { Known } from "../../base/known.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { unlessAborted, within } from "../../base/within.ts";
import type { Server } from "../../client/rivet/config.ts";
import { NO_CAPACITY, RequestError, RivetError } from "../../client/rivet/errors.ts";
import { findActors, keyParts, keyText, makeActor, type NewActor } from "../../client/rivet/http.ts";
import { isCutOff } from "../../rivet/engine-contact.ts";
import { remoteError } from "../../rivet/user-error.ts";
import type { VmName } from "../grant.ts";
import {
  ENGINE_ASK_AGAIN_MS,
  MAX_KNOWN_VMS,
  MAX_PEER_QUESTIONS,
  MAX_STRANGER_QUESTIONS,
  MAX_STRANGER_QUESTIONS_WAITING,
  PEER_WAKE_MS,
  UNKNOWN_ACTOR_MS,
} from "./limits.ts";

/** Ids that the engine gives to actors. */
const ACTOR_ID = /^[0-9a-z]{30}$/;

/** Wait for an engine that gives no sign of life to this server, in milliseconds. */
const CUT_OFF_MS = 2_000;

/** Wait for the reason why an actor does not start, in milliseconds. */
const FAILURE_MS = 2_000;

/** The actors of all servers, as the engine knows them. */
export class EngineActors {
  readonly engine: Server;
  readonly #names = new Known<VmName>(MAX_KNOWN_VMS);
  /** Actors that the engine did not know, and when the server may ask again for a request without access. */
  readonly #unknown = new Known<number>(MAX_KNOWN_VMS);
  readonly #looking = new Map<string, Promise<VmName | undefined>>();
  readonly #questions = new Semaphore(MAX_PEER_QUESTIONS);
  readonly #strangers = new Semaphore(MAX_STRANGER_QUESTIONS);

  constructor(engine: Server) {
    this.engine = engine;
  }

  /** The name of an actor that `look` has found. */
  nameOf(actorId: string): VmName | undefined {
    return this.#names.get(actorId);
  }

  /** Notes the name of an actor of this server. */
  note(actorId: string, { name, key }: VmName): void {
    this.#names.set(actorId, { name, key: [...key] });
  }

  /** Forgets an actor that is gone. */
  forget(actorId: string): void {
    this.#names.delete(actorId);
  }

  /** Finds an actor by its id. @throws AgentVmError, UserError if the engine does not answer */
  async look(actorId: string): Promise<VmName | undefined> {
    return this.#names.get(actorId) ?? (await this.#look(actorId, this.#questions));
  }

  /**
   * Like `look`, for a request without access. Such requests take no place of other questions.
   *
   * @throws AgentVmError `limit_exceeded` if too many of them wait
   */
  async lookForStranger(actorId: string): Promise<VmName | undefined> {
    const known = this.#names.get(actorId);
    if (known !== undefined) return known;
    if (!ACTOR_ID.test(actorId) || (this.#unknown.get(actorId) ?? 0) > performance.now()) return undefined;
    const looking = this.#looking.get(actorId);
    if (looking !== undefined) return await looking;
    if (this.#strangers.waiting >= MAX_STRANGER_QUESTIONS_WAITING) throw tooManyStrangers();
    const asking = this.#look(actorId, this.#strangers)
      .then((found) => {
        if (found === undefined) this.#unknown.set(actorId, performance.now() + UNKNOWN_ACTOR_MS);
        return found;
      })
      .finally(() => this.#looking.delete(actorId));
    this.#looking.set(actorId, asking);
    return await asking;
  }

  async #look(actorId: string, places: Semaphore): Promise<VmName | undefined> {
    const find = (engine: Server) => findActors(engine, { actor_ids: actorId });
    const [found] = await this.ask(find, { places });
    if (found === undefined || found.destroy_ts) return undefined;
    const name = { name: found.name, key: keyParts(found.key) };
    this.#names.set(actorId, name);
    return name;
  }

  /** Reason why an actor did not start. */
  async failureOf(actorId: string): Promise<unknown> {
    const [found] = await this.ask((engine) => findActors(engine, { actor_ids: actorId }));
    return found?.error ?? undefined;
  }

  /** Returns whether an actor does not start because no server has room for it, if the engine says so soon. */
  async hasNoPlace(actorId: string): Promise<boolean> {
    const asking = this.failureOf(actorId).then(
      (failure) => failure === NO_CAPACITY,
      () => false,
    );
    return (await within(asking, FAILURE_MS)) === true;
  }

  /** Finds the id of a key's actor. */
  async find({ name, key }: VmName): Promise<string | undefined> {
    const [found] = await this.ask((engine) => findActors(engine, { name, key: keyText(key) }));
    if (found === undefined || found.destroy_ts) return undefined;
    this.note(found.actor_id, { name, key });
    return found.actor_id;
  }

  /** Makes an actor. @param method `PUT` also returns the actor that has the key already */
  async make(method: "POST" | "PUT", actor: NewActor): Promise<string> {
    try {
      const make = (engine: Server) => makeActor(engine, method, actor);
      const actorId = await this.ask(make, { isOnce: method === "POST" });
      this.note(actorId, actor);
      return actorId;
    } catch (error) {
      // The engine may say of the second actor of a key only that it was destroyed while it was made.
      if (method === "POST" && (await this.find(actor)) !== undefined) throw duplicateKey(actor.key);
      throw error;
    }
  }

  /**
   * Asks the engine.
   *
   * @param options `places`: questions at a time; `isOnce`: the question begins something, and is not asked again if no answer comes
   * @throws AgentVmError, UserError
   */
  async ask<Answer>(
    question: (engine: Server) => Promise<Answer>,
    { places = this.#questions, isOnce = false }: { places?: Semaphore; isOnce?: boolean } = {},
  ): Promise<Answer> {
    try {
      const answer = () => {
        // A client would wait long for an answer that does not come, and may find another server.
        const end = AbortSignal.timeout(isCutOff() ? CUT_OFF_MS : PEER_WAKE_MS);
        const ask = () => question(this.engine);
        return isOnce ? unlessAborted(ask(), end) : askAgain(ask, ENGINE_ASK_AGAIN_MS, end);
      };
      return await places.run(answer, AbortSignal.timeout(PEER_WAKE_MS));
    } catch (error) {
      throw engineError(error);
    }
  }
}

function duplicateKey(key: readonly string[]): AgentVmError {
  return new AgentVmError("duplicate_key", `A VM with the key ${JSON.stringify(key)} exists already`, {
    key: [...key],
  });
}

/** Returns whether an error of the engine says that an actor does not exist any more. */
export function isGone(error: unknown): boolean {
  const { group, code = "" } = Object(error) as { group?: string; code?: string };
  return group === "actor" && (code === "not_found" || code.startsWith("destroyed"));
}

/** Returns the error for a client whose request has led to an error of the engine. */
export function engineError(error: unknown): unknown {
  if (error instanceof RivetError) return remoteError(error);
  const { name = "" } = Object(error) as Partial<Error>;
  if (error instanceof RequestError || name === "TimeoutError")
    return new AgentVmError("connection_lost", "The server does not reach its Rivet Engine");
  return error;
}

/** Error of a request without access that finds too many others waiting for an answer of the engine. */
export function tooManyStrangers(): AgentVmError {
  const limit = { MAX_STRANGER_QUESTIONS_WAITING };
  return limitExceeded(limit, "Too many requests without access", "Try again later.");
}
