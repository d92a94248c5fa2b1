import { createHash, randomUUID } from "node:crypto";
import { join } from "node:path";
import { errors, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { AgentVmError, invalidArgument, limitExceeded, unauthorized } from "../../api/errors.ts";
import { MAX_TOKEN_BYTES, MAX_TOKENS, MAX_TOKENS_PER_CLIENT } from "../../api/limits.ts";
import type { Right } from "../../api/rights.ts";
import type { IssuedToken, TokenInfo, TokenPage, TokenQuery, TokenRequest } from "../../api/tokens.ts";
import { derivedKey } from "../../base/derived-key.ts";
import { type Grant, isWithin, requireRight } from "../grant.ts";
import { type StoredToken, TokenStore } from "./token-store.ts";

/** First characters of every token. Scanners for leaked secrets recognize them, and so does the server. */
export const TOKEN_PREFIX = "avm_";

/** File of the notes in the data folder. */
const FILE = "tokens.db";

const ALGORITHM = "HS256";
const TYPE = "agent-vm+jwt";

const claimsSchema = z.object({
  jti: z.string(),
  exp: z.number(),
  may: z.array(z.string()),
  vms: z.object({
    keys: z.array(z.array(z.string())).optional(),
    prefix: z.array(z.string()).optional(),
    actors: z.array(z.string()).optional(),
  }),
});

/** Notes about the tokens that a server has made. A change counts when it has resolved. */
export interface TokenRecords
  extends Pick<TokenStore, "count" | "get" | "has" | "remove" | "list" | "close"> {
  forgetExpired(): unknown;
  add(token: StoredToken): unknown;
  renew(id: string, expiresAt: number, latest: number | null): unknown;
}

/** The tokens that a server has made. Each is signed, and is valid while the store has it. */
export class Tokens {
  readonly #store: TokenRecords;
  readonly #secret: Uint8Array;
  readonly #onRevoked: (ids: readonly string[]) => void;

  /**
   * @param folder the data folder that keeps notes about the tokens, or other notes
   * @param secret signs the tokens. Tokens that another secret has signed are invalid
   * @param onRevoked receives the ids of tokens that have just been revoked
   * @param onDamage receives the first failure of a damaged file
   */
  constructor(
    folder: string | TokenRecords,
    secret: Uint8Array,
    onRevoked: (ids: readonly string[]) => void,
    onDamage?: (error: unknown) => void,
  ) {
    this.#store = typeof folder === "string" ? new TokenStore(join(folder, FILE), onDamage) : folder;
    this.#secret = secret;
    this.#onRevoked = onRevoked;
  }

  /** Derives a key of 32 bytes from the secret, for one purpose. */
  keyFor(purpose: string): Uint8Array {
    return derivedKey(this.#secret, purpose);
  }

  /** @throws AgentVmError `forbidden` if the creator may not give this away; `limit_exceeded`; `invalid_argument` */
  async create(creator: Grant, request: TokenRequest): Promise<IssuedToken> {
    requireRight(creator, { right: "admin" }, { method: "tokens.create" });
    const { may, label, expiresIn } = request;
    const actors = request.actors ?? creator.vms.actors;
    const vms = { ...request.vms, ...(actors && { actors }) };
    if (!creator.unlimited && !isWithin(vms, creator.vms)) {
      throw new AgentVmError("forbidden", "A token reaches only VMs that its maker reaches", {
        right: "admin",
      });
    }
    const createdAt = Date.now();
    const latest = creator.expiresAt ?? null;
    const lifetimeMs = expiresIn * 1000;
    const stored: StoredToken = {
      id: randomUUID(),
      parent: creator.tokenId ?? null,
      owner: this.#ownerOf(creator),
      label,
      createdAt,
      lifetimeMs,
      expiresAt: endOf(createdAt + lifetimeMs, latest),
      latest,
      may,
      vms,
    };
    const issued = await this.#issue(stored);
    // The maker's token may have been revoked meanwhile, with everything that it has made.
    if (stored.parent !== null && !this.isValid(stored.parent)) throw revoked();
    this.#assertRoom(stored.owner);
    await this.#store.add(stored);
    return issued;
  }

  /** Lists the tokens that a client may revoke. */
  async list(viewer: Grant, { limit, cursor }: TokenQuery): Promise<TokenPage> {
    requireRight(viewer, { right: "admin" }, { method: "tokens.list" });
    const after = cursor === undefined ? 0 : Number(cursor);
    if (!Number.isSafeInteger(after)) throw invalidArgument("cursor", "the cursor of a page", cursor);
    const { tokens, next } = await this.#store.list(limit, after, (token) => isSubject(token, viewer));
    return { tokens: tokens.map(infoOf), cursor: next === null ? null : String(next) };
  }

  /** Returns whether the administrator's server has made a token with this label. */
  async isMadeAs(id: string, label: string): Promise<boolean> {
    const token = this.#store.get(id);
    return token !== undefined && token.owner === null && token.parent === null && token.label === label;
  }

  /** Revokes a token and all tokens that were made with it. @throws AgentVmError `token_not_found`, `forbidden` */
  async revoke(actor: Grant, id: string): Promise<void> {
    this.#subject(actor, id, "tokens.revoke");
    await this.#store.remove(id, this.#onRevoked);
  }

  /**
   * Makes a token last its whole lifetime from now. The token keeps its id, and earlier copies of it expire as they would.
   *
   * @param id `undefined`: the token that the client carries
   * @throws AgentVmError `token_not_found`, `forbidden`
   */
  async renew(actor: Grant, id: string | undefined = actor.tokenId): Promise<IssuedToken> {
    if (id === undefined) {
      throw new AgentVmError(
        "invalid_argument",
        "Only a token of `tokens.create` renews itself, and this client has no such token. Pass the id of a token",
        { argument: "id" },
      );
    }
    const token = this.#subject(actor, id, "tokens.renew");
    // A client that could renew other tokens would outlive the end of its own.
    if (!actor.unlimited && id !== actor.tokenId && token.parent !== actor.tokenId) {
      throw new AgentVmError("forbidden", "A token renews only itself and tokens that it has made", {
        right: "admin",
      });
    }
    const latest = id === actor.tokenId ? token.latest : (actor.expiresAt ?? null);
    const expiresAt = endOf(Date.now() + token.lifetimeMs, latest);
    const issued = await this.#issue({ ...token, expiresAt });
    // The token may have been revoked meanwhile: then notes in a data folder update no row, and others refuse.
    await this.#store.renew(id, Math.max(expiresAt, token.expiresAt), latest);
    return issued;
  }

  /**
   * Checks a token that a client presents.
   *
   * @throws AgentVmError `unauthorized` with `metadata.reason`
   */
  async verify(token: string): Promise<Grant> {
    const payload = await this.#payloadOf(token);
    const { success, data } = claimsSchema.safeParse(payload);
    if (!success) throw unauthorized("invalid", "The token is not a token of this server");
    if (!this.isValid(data.jti)) throw revoked();
    return {
      may: data.may as Right[],
      vms: data.vms as Grant["vms"],
      tokenId: data.jti,
      expiresAt: data.exp * 1000,
    };
  }

  isValid(id: string): boolean {
    return this.#store.has(id);
  }

  /** Resolves when `isValid` knows what was revoked until now. @throws AgentVmError if the server cannot know that */
  async fresh(): Promise<void> {
    // The notes in a data folder are all there are.
  }

  close(): void {
    this.#store.close();
  }

  async #payloadOf(token: string): Promise<unknown> {
    try {
      const options = { algorithms: [ALGORITHM], typ: TYPE };
      return (await jwtVerify(token.slice(TOKEN_PREFIX.length), this.#secret, options)).payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw unauthorized("expired", "The token has expired");
      throw unauthorized("invalid", "The token is not a token of this server");
    }
  }

  /** Returns the client to which the tokens of a maker count. A token counts to the client for which it was made. */
  #ownerOf({ unlimited, tokenId, identity }: Grant): string | null {
    if (unlimited) return null;
    if (tokenId !== undefined) return this.#store.get(tokenId)?.owner ?? tokenId;
    return createHash("sha256")
      .update(JSON.stringify(identity ?? null))
      .digest("base64url");
  }

  /** @throws AgentVmError `limit_exceeded` */
  #assertRoom(owner: string | null): void {
    this.#store.forgetExpired();
    const remedy = "Revoke tokens, or wait until some expire.";
    if (owner !== null && this.#store.count(owner) >= MAX_TOKENS_PER_CLIENT)
      throw limitExceeded({ MAX_TOKENS_PER_CLIENT }, "Token limit of the client reached", remedy);
    if (this.#store.count(owner === null ? null : undefined) >= MAX_TOKENS)
      throw limitExceeded({ MAX_TOKENS }, "Token limit of the server reached", remedy);
  }

  #subject(actor: Grant, id: string, method: string): StoredToken {
    requireRight(actor, { right: "admin" }, { method });
    const token = this.#store.get(id);
    if (token !== undefined && token.expiresAt > Date.now() && isSubject(token, actor)) return token;
    throw new AgentVmError("token_not_found", "The server has no token with this id", { id });
  }

  async #issue({ id, may, vms, expiresAt }: StoredToken): Promise<IssuedToken> {
    const signed = await new SignJWT({ may, vms })
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
      .setJti(id)
      .setExpirationTime(expiresAt / 1000)
      .sign(this.#secret);
    const token = TOKEN_PREFIX + signed;
    if (token.length > MAX_TOKEN_BYTES) {
      throw new AgentVmError(
        "invalid_argument",
        `The token would have ${token.length} bytes, above MAX_TOKEN_BYTES = ${MAX_TOKEN_BYTES}. Name fewer VMs, or a prefix.`,
        { argument: "vms" },
      );
    }
    return { token, id, expiresAt };
  }
}

/** Returns the error of a token that has been revoked. */
export function revoked(): AgentVmError {
  return unauthorized("revoked", "The token has been revoked");
}

/** A time in whole seconds, as tokens carry it: not before `wanted`, not after `latest`. */
function endOf(wanted: number, latest: number | null): number {
  const end = Math.ceil(wanted / 1000);
  return 1000 * (latest === null ? end : Math.min(end, Math.floor(latest / 1000)));
}

/** Returns whether a client may see and revoke a token. */
function isSubject(token: StoredToken, client: Grant): boolean {
  return client.unlimited === true || isWithin(token.vms, client.vms);
}

function infoOf({ id, label, vms, may, createdAt, expiresAt }: StoredToken): TokenInfo {
  const { keys = [], prefix, actors = null } = vms;
  return { id, label, vms: prefix ? { prefix } : keys, actors, may, createdAt, expiresAt };
}
