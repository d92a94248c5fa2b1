import type { IssuedToken, TokenPage, TokenQuery, TokenRequest } from "../../../api/tokens.ts";
import type { Grant } from "../../grant.ts";
import type { LiveGrants } from "../../live-grants.ts";
import type { EngineActors } from "../../peers/engine-actors.ts";
import { PeerSeal } from "../../peers/seal.ts";
import { type TokenRecords, Tokens } from "../tokens.ts";
import { RevokedTokens } from "./revoked-tokens.ts";
import { TokenDesk } from "./token-desk.ts";

/** The tokens of all servers behind a Rivet Engine that share a secret. An actor notes them; each server checks them itself. */
export class SharedTokens extends Tokens {
  readonly #desk: TokenDesk;
  readonly #revoked: RevokedTokens;

  /** @param pool servers that take the actor. @default the servers that take VMs */
  constructor(secret: Uint8Array, actors: EngineActors, live: LiveGrants, pool?: string) {
    const desk = new TokenDesk(actors, new PeerSeal(secret), pool);
    const onRevoked = (ids: readonly string[]) => live.revoked(ids);
    const revoked = new RevokedTokens({ desk, onRevoked, isWatched: () => live.hasTokens });
    super(recordsOf(revoked), secret, onRevoked);
    this.#desk = desk;
    this.#revoked = revoked;
  }

  override async create(grant: Grant, request: TokenRequest): Promise<IssuedToken> {
    return (await this.#desk.ask({ method: "create", grant, request })) as IssuedToken;
  }

  override async list(grant: Grant, query: TokenQuery): Promise<TokenPage> {
    return (await this.#desk.ask({ method: "list", grant, query })) as TokenPage;
  }

  override async revoke(grant: Grant, id: string): Promise<void> {
    await this.#desk.ask({ method: "revoke", grant, id });
    // Otherwise this server asks again in a moment, as the others do.
    await this.#revoked.refresh().catch(() => undefined);
  }

  override async renew(grant: Grant, id?: string): Promise<IssuedToken> {
    return (await this.#desk.ask({ method: "renew", grant, ...(id !== undefined && { id }) })) as IssuedToken;
  }

  /** @throws AgentVmError also if this server cannot learn whether the token was revoked */
  override async verify(token: string): Promise<Grant> {
    await this.fresh();
    return await super.verify(token);
  }

  override async fresh(): Promise<void> {
    await this.#revoked.fresh();
  }

  override async isMadeAs(id: string, label: string): Promise<boolean> {
    return (await this.#desk.ask({ method: "isMadeAs", id, label })) === true;
  }
}

/** Notes about tokens that a server itself has: only which are revoked. */
function recordsOf(revoked: RevokedTokens): TokenRecords {
  const nothing = () => undefined;
  return {
    has: (id) => !revoked.has(id),
    close: () => revoked.close(),
    count: () => 0,
    get: nothing,
    ...{ add: nothing, renew: nothing, forgetExpired: nothing },
    remove: async () => undefined,
    list: async () => ({ tokens: [], next: null }),
  };
}
