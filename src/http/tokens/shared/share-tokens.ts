import type { Server } from "../../../client/rivet/config.ts";
import type { LiveGrants } from "../../live-grants.ts";
import { EngineActors } from "../../peers/engine-actors.ts";
import { TOKEN_ACTOR } from "./messages.ts";
import { SharedTokens } from "./shared-tokens.ts";
import { tokenActor } from "./token-actor.ts";

/**
 * Makes the tokens of all servers behind an engine that share a secret.
 *
 * @param actors the actors of the engine, if the server knows them already
 * @returns the tokens, and the actor that notes them
 */
export function shareTokens(
  secret: Uint8Array,
  engine: Server,
  live: LiveGrants,
  actors = new EngineActors(engine),
) {
  return {
    tokens: new SharedTokens(secret, actors, live),
    use: { [TOKEN_ACTOR.name]: tokenActor(secret) },
  };
}
