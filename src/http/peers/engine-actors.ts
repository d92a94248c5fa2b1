import { AgentVmError } from "../../api/errors.ts";
import { Semaphore } from "../../base/semaphore.ts";
import type { Server } from "../../client/rivet/config.ts";
import { RequestError, RivetError } from "../../client/rivet/errors.ts";
import { findActors, keyParts, keyText, makeActor, type NewActor } from "../../client/rivet/http.ts";
import { remoteError } from "../../rivet/user-error.ts";
import type { VmName } from "../grant.ts";
import { Known } from "./known.ts";
import { MAX_PEER_QUESTIONS } from "./limits.ts";

/** The actors of all servers, as the engine knows them. */
export class EngineActors {
  readonly engine: Server;
  readonly #names = new Known<VmName>();
  readonly #questions = new Semaphore(MAX_PEER_QUESTIONS);

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
    const known = this.#names.get(actorId);
    if (known !== undefined) return known;
    const [found] = await this.ask((engine) => findActors(engine, { actor_ids: actorId }));
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
      const actorId = await this.ask((engine) => makeActor(engine, method, actor));
      this.note(actorId, actor);
      return actorId;
    } catch (error) {
      // The engine may say of the second actor of a key only that it was destroyed while it was made.
      if (method === "POST" && (await this.find(actor)) !== undefined) throw duplicateKey(actor.key);
      throw error;
    }
  }

  /** Asks the engine. @throws AgentVmError, UserError */
  async ask<Answer>(question: (engine: Server) => Promise<Answer>): Promise<Answer> {
    await this.#questions.acquire();
    try {
      return await question(this.engine);
    } catch (error) {
      throw engineError(error);
    } finally {
      this.#questions.release();
    }
  }
}

function duplicateKey(key: readonly string[]): AgentVmError {
  return new AgentVmError("duplicate_key", `A VM with the key ${JSON.stringify(key)} exists already`, {
    key: [...key],
  });
}

/** Returns the error for a client whose request has led to an error of the engine. */
export function engineError(error: unknown): unknown {
  if (error instanceof RivetError) return remoteError(error);
  const { name = "" } = Object(error) as Partial<Error>;
  if (error instanceof RequestError || name === "TimeoutError")
    return new AgentVmError("connection_lost", "The server does not reach its Rivet Engine");
  return error;
}
