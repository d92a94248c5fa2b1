import type { Server } from "../../../client/rivet/config.ts";
import { SERVICE_POOL } from "../../../rivet/service-pool.ts";
import type { LiveGrants } from "../../live-grants.ts";
import { EngineActors } from "../../peers/engine-actors.ts";
import { TOKEN_ACTOR } from "./messages.ts";
import { SharedTokens } from "./shared-tokens.ts";
import { tokenActor } from "./token-actor.ts";

/**
 * Makes the tokens of all servers behind an engine that share a secret.
 *
 * @param peers the actors of the engine, if the server knows the other servers: only such servers have places of SERVICE_POOL
 * @returns the tokens, and the actor that notes them
 */
export function shareTokens(
  secret: Uint8Array,
  engine: Server,
  live: LiveGrants,
  peers: EngineActors | undefined,
) {
  const pool = peers && SERVICE_POOL;
  return {
    tokens: new SharedTokens(secret, peers ?? new EngineActors(engine), live, pool),
    use: { [TOKEN_ACTOR.name]: tokenActor(secret) },
  };
}
