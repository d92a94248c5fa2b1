import { AgentVmError, receivedError } from "../../../api/errors.ts";
import { askAgain } from "../../../base/ask-again.ts";
import { askActor, type NewActor } from "../../../client/rivet/http.ts";
import { type EngineActors, engineError } from "../../peers/engine-actors.ts";
import { ENGINE_ASK_AGAIN_MS } from "../../peers/limits.ts";
import { freshly, type PeerSeal } from "../../peers/seal.ts";
import { TOKEN_ANSWER_MS } from "./limits.ts";
import {
  type Asked,
  answerSchema,
  type Question,
  type RevokedPage,
  revokedSchema,
  TOKEN_ACTOR,
  TOKENS_PATH,
} from "./messages.ts";

/** Questions that change nothing. */
const READS: ReadonlySet<Question["method"]> = new Set(["list", "isMadeAs", "revoked"]);

/** Asks the actor that notes the tokens of all servers. Only a server with the same secret can ask and answer. */
export class TokenDesk {
  readonly #actors: EngineActors;
  readonly #seal: PeerSeal;
  readonly #actor: NewActor;
  #actorId: string | undefined;

  /** @param pool servers that take the actor. @default the servers that take VMs */
  constructor(actors: EngineActors, seal: PeerSeal, pool?: string) {
    this.#actors = actors;
    this.#seal = seal;
    this.#actor = { ...TOKEN_ACTOR, ...(pool !== undefined && { pool }) };
  }

  /** Asks something. Makes the actor with the first question. @throws AgentVmError */
  async ask(question: Question): Promise<unknown> {
    this.#actorId ??= await this.#actors.make("PUT", this.#actor);
    return await this.#send(this.#actorId, question);
  }

  /** Asks for revoked tokens. @returns `undefined` if no server has made a token */
  async revoked(epoch: string, after: number): Promise<RevokedPage | undefined> {
    this.#actorId ??= await this.#actors.find(TOKEN_ACTOR);
    if (this.#actorId === undefined) return undefined;
    return revokedSchema.parse(await this.#send(this.#actorId, { method: "revoked", epoch, after }));
  }

  async #send(actorId: string, question: Question): Promise<unknown> {
    const end = AbortSignal.timeout(TOKEN_ANSWER_MS);
    const ask = (signal: AbortSignal) => this.#askOnce(actorId, question, signal);
    try {
      return await (READS.has(question.method) ? askAgain(ask, ENGINE_ASK_AGAIN_MS, end) : ask(end));
    } catch (error) {
      // The actor may have been deleted, and made again.
      if (!(error instanceof AgentVmError) || error.code === "connection_lost") this.#actorId = undefined;
      const hasNoPlace = !(error instanceof AgentVmError) && (await this.#actors.hasNoPlace(actorId));
      throw hasNoPlace ? noPlace() : engineError(error);
    }
  }

  async #askOnce(actorId: string, question: Question, signal: AbortSignal): Promise<unknown> {
    const asked = { ...question, ...freshly() } as Asked;
    const response = await askActor(this.#actors.engine, actorId, `/request${TOKENS_PATH}`, {
      method: "POST",
      body: this.#seal.seal("tokens", asked),
      signal,
    });
    const answer = this.#seal.open("tokens answer", await response.text(), answerSchema);
    if (answer?.nonce !== asked.nonce) throw unanswered();
    if (answer.error === undefined) return answer.result;
    const { code, message, metadata } = answer.error;
    throw receivedError(code, message, metadata);
  }
}

function noPlace(): AgentVmError {
  return new AgentVmError("server_full", "No server has room for the actor that notes tokens", {
    hint: "Put a VM to sleep or start another server, then repeat the call. Until then it has changed nothing.",
  });
}

function unanswered(): AgentVmError {
  return new AgentVmError("connection_lost", "The servers behind the engine do not tell their tokens", {
    hint: "Give all servers behind the engine the same AGENT_VM_SECRET, and clocks that agree.",
  });
}
