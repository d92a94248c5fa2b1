import { actorTypeNotFound, unauthorized } from "../api/errors.ts";
import type { Guarded } from "../api/rights.ts";
import type { AuditActor } from "../monitoring/audit.ts";
import {
  type AccessPolicy,
  type AccessRequest,
  foreignPage,
  isOwner,
  presentedTokens,
  refusal,
} from "./access.ts";
import { type Authorize, askUser } from "./authorize.ts";
import {
  type Grant,
  isSame,
  reaches,
  requireOutside,
  requireReach,
  requireRight,
  UNLIMITED,
  type VmName,
} from "./grant.ts";
import { type Lent, LentGrants, type Sender } from "./lent-grants.ts";
import { type GrantEnd, LiveGrants } from "./live-grants.ts";
import type { Logger } from "./logger.ts";
import { revoked, TOKEN_PREFIX, type Tokens } from "./tokens/tokens.ts";

/** The part of RivetKit's connection that has its rights. */
export interface GrantedConnection {
  readonly id: string;
  readonly state: Grant;
}

/** Decides what each request to a server may do. */
export class AccessControl {
  readonly policy: AccessPolicy;
  /** The tokens that the server makes; `undefined` before it has a data folder. */
  tokens: Tokens | undefined;
  readonly live = new LiveGrants();
  readonly lent = new LentGrants();
  readonly #authorize: Authorize | undefined;
  readonly #logger: Logger | undefined;
  readonly #admitted = new WeakMap<object, Promise<Grant>>();
  readonly #vouched = new WeakMap<object, Grant>();
  readonly #grants = new WeakMap<GrantedConnection, Grant>();

  constructor(policy: AccessPolicy, authorize?: Authorize, logger?: Logger) {
    this.policy = policy;
    this.#authorize = authorize;
    this.#logger = logger;
  }

  /** Whether the user's function decides about requests. It is told which VM a request reaches. */
  get asksUser(): boolean {
    return this.#authorize !== undefined;
  }

  /**
   * Finds what a request may do: by the server's token, by a token that the server has made, by the user's function, or by
   * the address it comes from.
   *
   * @param vm the VM that the request names
   * @throws AgentVmError `unauthorized`, `forbidden_origin`
   */
  async admit(request: AccessRequest, vm?: VmName): Promise<Grant> {
    const presented = presentedTokens(request);
    if (isOwner(this.policy, presented)) return UNLIMITED;
    const lent = await this.#lent(presented);
    if (lent !== undefined) {
      const isUsers = lent.grant.unlimited !== true && lent.grant.tokenId === undefined;
      return isUsers && vm !== undefined ? await this.#ask(lent.sender, vm) : lent.grant;
    }
    const made = presented.find((token) => token.startsWith(TOKEN_PREFIX));
    if (made !== undefined) {
      if (this.tokens === undefined) throw unauthorized("invalid", "This server has made no tokens");
      return await this.tokens.verify(made);
    }
    if (this.#authorize !== undefined) {
      // The user's function may know the client by a cookie, whatever else the request carries.
      const foreign = request.external ? foreignPage(this.policy, request) : undefined;
      if (foreign) throw foreign;
      const headers = { get: (name: string) => request.header(name.toLowerCase()) ?? null };
      const [token] = presented;
      return await this.#ask({ headers, token }, vm);
    }
    const error = refusal(this.policy, request);
    if (error) throw error;
    return UNLIMITED;
  }

  /** Finds what a request without any credential may do; `undefined` if the server asks for one. */
  admitOpen(request: AccessRequest): Grant | undefined {
    const isOpen = this.#authorize === undefined && this.policy.token === undefined;
    return isOpen && refusal(this.policy, request) === undefined ? UNLIMITED : undefined;
  }

  /** Asks the user's function. @throws AgentVmError `unauthorized` */
  async #ask(sender: Sender, vm: VmName | undefined): Promise<Grant> {
    if (this.#authorize === undefined || this.#logger === undefined)
      throw unauthorized("invalid", "The server does not admit the request");
    const grant = await askUser(this.#authorize, { ...sender, ...(vm && { vm }) }, this.#logger);
    return vm === undefined ? grant : { ...grant, asked: { name: vm.name, key: [...vm.key] } };
  }

  /** @throws AgentVmError `unauthorized` if the token behind a lent grant has ended; others if the server cannot know that */
  async #lent(presented: readonly string[]): Promise<Lent | undefined> {
    const asked = this.lent.find(presented);
    if (asked?.grant.tokenId !== undefined) await this.tokens?.fresh();
    // The grant may have been given back or renewed meanwhile.
    const lent = this.lent.find(presented);
    if (asked !== undefined && (lent === undefined || this.hasEnded(lent.grant))) {
      const isExpired = lent?.grant.expiresAt !== undefined && lent.grant.expiresAt <= Date.now();
      throw isExpired ? unauthorized("expired", "The token has expired") : revoked();
    }
    return lent;
  }

  /** Returns whether the server knows that the token or the permission behind a grant has ended. */
  hasEnded({ tokenId, expiresAt }: Grant): boolean {
    if (expiresAt !== undefined && expiresAt <= Date.now()) return true;
    return tokenId !== undefined && this.tokens?.isValid(tokenId) !== true;
  }

  /** Like `admit`, once for all checks of one request. @param message stands for the request */
  admitOnce(message: object, request: AccessRequest, vm?: VmName): Promise<Grant> {
    const known = this.#admitted.get(message);
    if (known) return known;
    const admitted = this.admit(request, vm);
    this.#admitted.set(message, admitted);
    return admitted;
  }

  /** Lets a request in that another server has let in. @param message stands for the request */
  admitted(message: object, grant: Grant): void {
    this.#admitted.set(message, Promise.resolve(grant));
  }

  /** Notes what a request may do that goes on to its actor. */
  vouch(request: object, grant: Grant): void {
    this.#vouched.set(request, grant);
  }

  /**
   * Finds what a connection of a VM's actor may do.
   *
   * @param message the request as the actor gets it
   * @throws AgentVmError `unauthorized`, `forbidden_origin`, `forbidden`
   */
  async connect(message: object | undefined, request: AccessRequest, vm: VmName): Promise<Grant> {
    const vouched = message && this.#vouched.get(message);
    const grant = vouched ? { ...vouched, isDirect: true as const } : await this.admit(request, vm);
    requireReach(grant, vm);
    return grant;
  }

  /** A connection has opened. @param end closes it when its token ends */
  opened({ id, state }: GrantedConnection, end: (reason: GrantEnd) => void): void {
    this.live.opened(id, state, end);
    const { tokenId } = state;
    if (tokenId !== undefined && this.tokens?.isValid(tokenId) === false) this.live.revoked([tokenId]);
  }

  /** Returns who has a grant, for the audit. */
  whoIs({ unlimited, tokenId, identity }: Grant): AuditActor {
    if (unlimited) return { kind: this.policy.token === undefined ? "anyone" : "server" };
    const kind = tokenId === undefined ? "user" : "token";
    return { kind, ...(tokenId !== undefined && { tokenId }), ...(identity !== undefined && { identity }) };
  }

  /** @throws AgentVmError `unauthorized` if the connection's token has ended; `forbidden` if it lacks the right */
  check(connection: GrantedConnection, guarded: Guarded, what: Record<string, string>): void {
    this.checkEnd(connection);
    requireRight(this.grantOf(connection), guarded, what);
  }

  /** Returns the rights of a connection, which never change. RivetKit's state watches each access, which takes 50 times as long. */
  grantOf(connection: GrantedConnection): Grant {
    let grant = this.#grants.get(connection);
    if (grant === undefined) {
      const { state } = connection;
      grant = { ...state, may: [...state.may] };
      this.#grants.set(connection, grant);
    }
    return grant;
  }

  /** @throws AgentVmError `unauthorized` if the connection's token has ended */
  checkEnd(connection: GrantedConnection): void {
    const grant = this.grantOf(connection);
    // The timer of a connection comes late if the clock was set.
    if (grant.expiresAt !== undefined && grant.expiresAt <= Date.now())
      throw unauthorized("expired", "The token has expired");
    if (!this.live.holds(connection.id, grant)) throw unauthorized("revoked", "The token has been revoked");
  }
}

/** The sender of an admitted request, with its rights over the actors of a server. */
export class Visitor {
  readonly #access: AccessControl;
  readonly #grant: Grant;
  readonly #vms: readonly string[];
  readonly #nameOf: (actorId: string) => VmName | undefined;

  /**
   * @param vms names of the actors that are VMs
   * @param nameOf finds an actor of the data folder
   */
  constructor(
    access: AccessControl,
    grant: Grant,
    vms: readonly string[],
    nameOf: (actorId: string) => VmName | undefined,
  ) {
    this.#access = access;
    this.#grant = grant;
    this.#vms = vms;
    this.#nameOf = nameOf;
  }

  /** @throws AgentVmError `forbidden` if the visitor may not look up an actor */
  lookUp(name: string, key: readonly string[]): void {
    if (this.#grant.unlimited) return;
    if (!this.#vms.includes(name)) throw actorTypeNotFound(name, this.#vms);
    requireReach(this.#grant, { name, key });
  }

  /** @throws AgentVmError `forbidden` if the visitor may not make an actor with this input */
  create(name: string, key: readonly string[], input: unknown): void {
    this.lookUp(name, key);
    const { network } = Object(input) as { network?: unknown };
    requireOutside(this.#grant, (Object(network) as { outbound?: unknown }).outbound);
    requireRight(this.#grant, { right: "create" }, { creation: `of the VM ${JSON.stringify(key)}` });
  }

  /** @throws AgentVmError `forbidden` if the visitor may not see all actors */
  listAll(): void {
    if (this.#grant.unlimited) return;
    requireRight({ ...this.#grant, may: [] }, { right: "admin" }, { list: "of all actors" });
  }

  /** Returns whether the visitor may reach an actor. An actor out of reach looks like an actor that does not exist. */
  reaches(actorId: string): boolean {
    if (this.#grant.unlimited) return true;
    const vm = this.#nameOf(actorId);
    if (vm === undefined || !this.#vms.includes(vm.name)) return false;
    const { asked = vm } = this.#grant;
    return reaches(this.#grant, vm) && isSame(asked, vm);
  }

  /** Marks a request that goes on to its actor. */
  vouch(request: object): void {
    this.#access.vouch(request, this.#grant);
  }
}
