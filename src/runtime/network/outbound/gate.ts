import { limitExceeded } from "../../../api/errors.ts";
import type { NetworkLogCode, OutboundPolicy } from "../../../api/methods/network.ts";
import { canonicalHost, HOST_NAME, isReservedName, kindOf } from "../../../api/network-rule.ts";
import { EndSignal } from "../../../base/end-signal.ts";
import type { Report } from "../../reports.ts";
import { MAX_OUTSIDE_CONNECTIONS, OUTBOUND_CONNECT_TIMEOUT_MS } from "../limits.ts";
import type { OutboundLimits } from "./budget.ts";
import { OutsideConnections, type OutsidePlace } from "./connections.ts";
import { noteDenial, type OutboundDenied, shownHost } from "./denial.ts";
import { type Destination, Permit } from "./destination.ts";
import { dial } from "./dial.ts";
import type { NetworkLog } from "./log.ts";
import { OutboundLookups } from "./lookups.ts";
import type { Outside } from "./meter.ts";
import { NO_OFFERS, type Offers } from "./offers.ts";
import type { NetworkQuestions } from "./questions.ts";
import type { Resolve } from "./resolve.ts";
import { OutboundRules } from "./rules.ts";

const DNS_PORT = 53;

/** Codes of a name that does not exist. */
const ABSENT = new Set(["ENOTFOUND", "ENODATA"]);

interface GateOptions {
  /** @default the resolver of the server */
  resolve?: Resolve | undefined;
  /** @default nothing is reported */
  report?: Report;
  /** Asks about the destinations of rules of `ask`. @default they are denied */
  questions?: NetworkQuestions | undefined;
  limits?: OutboundLimits;
  /** Services that clients offer inside. @default none */
  offers?: Offers | undefined;
}

/**
 * Opens outside connections that the policy allows. The gate resolves a name once, checks the resulting address and
 * connects to that same address. Later answers of a name server cannot bypass the check.
 */
export class OutboundGate {
  readonly #log: NetworkLog;
  readonly #offers: Offers;
  readonly #connections: OutsideConnections;
  #rules: OutboundRules;
  readonly #lookups: OutboundLookups;
  readonly #questions: NetworkQuestions | undefined;
  #opening = 0;

  constructor(
    policy: OutboundPolicy,
    log: NetworkLog,
    { resolve, report = () => undefined, questions, limits = {}, offers = NO_OFFERS }: GateOptions = {},
  ) {
    this.#offers = offers;
    this.#questions = questions;
    this.#connections = new OutsideConnections(log, limits, report);
    this.#rules = new OutboundRules(policy);
    this.#log = log;
    this.#lookups = new OutboundLookups(resolve);
  }

  get policy(): OutboundPolicy {
    return this.#rules.policy;
  }

  /** Replaces the policy and cuts open connections that the new one denies. */
  change(policy: OutboundPolicy): void {
    this.#rules = new OutboundRules(policy);
    this.#connections.cut(({ address, name, port, isPermitted }) => {
      const asks = !isPermitted && this.#rules.asks(name ?? address ?? "", port);
      return asks || this.#refusal(name, address, port) !== undefined;
    });
    this.#questions?.forget();
  }

  /** Returns whether a destination needs an answer before each connection. */
  asks({ host, port }: Destination): boolean {
    const canonical = canonicalHost(host);
    return canonical !== undefined && this.#rules.asks(canonical, port);
  }

  /** Adds the bytes of earlier instances of the VM to its limit. */
  spentBefore(bytes: number): void {
    this.#connections.spentBefore(bytes);
  }

  /**
   * Asks for an answer to a request, if a rule wants one.
   *
   * @returns the permit of the request; `undefined` if the policy decides without an answer
   * @throws OutboundDenied if the answer denies it
   */
  async permit(destination: Destination, signal: AbortSignal): Promise<Permit | undefined> {
    const host = canonicalHost(destination.host);
    const { port, refusal, permit, method, path, findPid } = destination;
    while (host !== undefined && refusal === undefined && this.#rules.asks(host, port)) {
      if (permit?.rules === this.#rules) return permit;
      const rules = this.#rules;
      const denied = { allowed: false, reason: "the policy asks, and nobody can answer", code: undefined };
      const outcome =
        this.#questions === undefined
          ? denied
          : await this.#questions.ask({ host, port, method, path, findPid }, signal);
      if (outcome === "changed") continue;
      const { allowed, reason, code } = outcome;
      if (!allowed) throw await this.#denied({ host, port, findPid }, reason, code);
      if (rules !== this.#rules) continue;
      if (!("isRemembered" in outcome)) this.#log.allowed({ host: shownHost(host), port, reason });
      return new Permit(rules);
    }
    return undefined;
  }

  /**
   * Opens a connection to a destination.
   *
   * @throws OutboundDenied if the policy denies it (logged, and emitted as `networkDenied`); the system's error if the host
   * cannot be reached
   */
  async open(destination: Destination, signal: AbortSignal): Promise<Outside> {
    // Connections outlive those of the programs until their last bytes are sent.
    if (this.#connections.size + this.#opening >= MAX_OUTSIDE_CONNECTIONS)
      throw limitExceeded(
        { MAX_OUTSIDE_CONNECTIONS },
        "Limit of the VM's connections to the outside reached",
        "Close one first.",
      );
    this.#opening += 1;
    try {
      return await this.#open(destination, signal);
    } finally {
      this.#opening -= 1;
    }
  }

  /**
   * Judges a destination by its name or address alone, before the server reads requests to it.
   *
   * @throws OutboundDenied if the policy denies it
   */
  async check({ host, port, refusal: given, findPid }: Destination): Promise<void> {
    const canonical = canonicalHost(host);
    const judge = (at: string) =>
      kindOf(at) === "name"
        ? this.#rules.refuseName(at, port)
        : this.#rules.refuseAddress(at, port, undefined);
    const refusal = given ?? (canonical === undefined ? "invalid host or port" : judge(canonical));
    if (refusal !== undefined) throw await this.#denied({ host: canonical ?? host, port, findPid }, refusal);
  }

  async #open(destination: Destination, signal: AbortSignal): Promise<Outside> {
    const { host, port, refusal: given, allowHalfOpen = false, findPid } = destination;
    const canonical = canonicalHost(host);
    if (canonical === undefined || port < 1 || port > 65_535)
      throw await this.#denied({ host, port, findPid }, "invalid host or port");
    const name = kindOf(canonical) === "name" ? canonical : undefined;
    const refusal = given ?? (name === undefined ? undefined : this.#rules.refuseName(name, port));
    if (refusal !== undefined) throw await this.#denied({ host: canonical, port, findPid }, refusal);
    const permit = await this.permit(destination, signal);
    const exceeded = this.#connections.exceeded();
    if (exceeded !== undefined)
      throw await this.#denied({ host: canonical, port, findPid }, exceeded, "limit_exceeded");
    const isPermitted = permit !== undefined;
    const sink = this.#connections.isMetered ? undefined : destination.sink;
    if (name !== undefined && isOffer(name)) {
      const to = { address: undefined, name, port, isPermitted };
      return await this.#openOffer(to, { allowHalfOpen, signal });
    }
    const addresses = name === undefined ? [canonical] : await this.#lookups.find(name, signal);
    let reason: string | undefined;
    let failure: unknown;
    for (const address of addresses) {
      reason = this.#refusal(name, address, port);
      if (reason !== undefined) continue;
      try {
        const socket = await dial(address, port, { allowHalfOpen, signal, sink });
        if (signal.aborted) socket.destroy();
        signal.throwIfAborted();
        // The policy may have changed during the connect.
        const asks = permit?.rules !== this.#rules && this.#rules.asks(name ?? address ?? "", port);
        reason = asks ? "the policy has changed: connect again" : this.#refusal(name, address, port);
        if (reason === undefined) {
          sink?.takes(socket);
          return this.#connections.keep(socket, { address, name, port, isPermitted }, { allowHalfOpen });
        }
        socket.destroy();
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
    }
    if (failure !== undefined) throw failure;
    throw await this.#denied({ host: canonical, port, findPid }, reason ?? "the name has no address");
  }

  /** Says whether a name that a program asks for is allowed and exists. A denial is logged as one of port 53. */
  async find(name: string, signal: AbortSignal): Promise<"found" | "absent" | "denied" | "failed"> {
    // Programs ask for the names of addresses that they log. No policy has such names.
    if (name === "arpa" || name.endsWith(".arpa")) return "absent";
    const canonical = canonicalHost(name);
    if (canonical === undefined || kindOf(canonical) !== "name") return "absent";
    const refusal = this.#rules.refuseName(canonical);
    if (refusal !== undefined) {
      await this.#denied({ host: canonical, port: DNS_PORT }, refusal);
      return "denied";
    }
    // A question to a name server can carry data. Nothing is looked up before an answer, so that every such name seems to exist.
    if (this.#rules.asks(canonical)) return "found";
    if (isOffer(canonical)) return this.#offers.has(canonical) ? "found" : "absent";
    try {
      return (await this.#lookups.find(canonical, signal)).length > 0 ? "found" : "absent";
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      return ABSENT.has(code) ? "absent" : "failed";
    }
  }

  /** Returns why the policy denies a name, if it does. */
  refuseName(host: string, port: number): string | undefined {
    return this.#rules.refuseName(host, port);
  }

  /** Bytes of all outside connections since the last `resetTraffic`. */
  get traffic(): { bytesOut: number; bytesIn: number } {
    return this.#connections.traffic;
  }

  close(): void {
    this.#questions?.close();
    this.#connections.close();
  }

  /** Begins to count the bytes of another boot. */
  resetTraffic(): void {
    this.#connections.resetTraffic();
  }

  async #openOffer(
    to: OutsidePlace & { name: string },
    { allowHalfOpen, signal }: { allowHalfOpen: boolean; signal: AbortSignal },
  ): Promise<Outside> {
    const { name, port } = to;
    const late = () => new Error("the client has not answered in time");
    const end = new EndSignal([signal]).after(OUTBOUND_CONNECT_TIMEOUT_MS, late);
    const socket = await end.during((ends) => this.#offers.open(name, port, ends));
    socket.on("error", () => undefined);
    // The policy may have changed during the connect.
    const asks = !to.isPermitted && this.#rules.asks(name, port);
    const refusal = asks ? "the policy has changed: connect again" : this.#refusal(name, undefined, port);
    if (refusal !== undefined) socket.destroy();
    if (refusal !== undefined) throw await this.#denied({ host: name, port }, refusal);
    return this.#connections.keep(socket, to, { allowHalfOpen });
  }

  #refusal(name: string | undefined, address: string | undefined, port: number): string | undefined {
    const named = name === undefined ? undefined : this.#rules.refuseName(name, port);
    if (address === undefined) return named;
    return named ?? this.#rules.refuseAddress(address, port, name);
  }

  #denied(destination: Destination, reason: string, code?: NetworkLogCode): Promise<OutboundDenied> {
    return noteDenial(this.#log, destination, reason, code);
  }
}

/** Returns whether a name is one of a client's service. */
function isOffer(name: string): boolean {
  return isReservedName(name) && name !== HOST_NAME;
}
