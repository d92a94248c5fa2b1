import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { OutboundPolicy } from "../../../api/methods/network.ts";
import { canonicalHost, HOST_NAME, isReservedName, kindOf } from "../../../api/network-rule.ts";
import { printable } from "../../../base/printable.ts";
import { Semaphore } from "../../../base/semaphore.ts";
import type { Report } from "../../reports.ts";
import {
  MAX_LOOKUP_ADDRESSES,
  MAX_OUTBOUND_LOOKUPS,
  MAX_OUTSIDE_CONNECTIONS,
  MAX_WAITING_LOOKUPS,
  OUTBOUND_CONNECT_TIMEOUT_MS,
} from "../limits.ts";
import type { NetworkLog } from "./log.ts";
import { NO_OFFERS, type Offers } from "./offers.ts";
import { makeResolve, type Resolve } from "./resolve.ts";
import { OutboundRules } from "./rules.ts";

const DNS_PORT = 53;

/** Codes of a name that does not exist. */
const ABSENT = new Set(["ENOTFOUND", "ENODATA"]);

/** The system's resolver, which all VMs share. */
const systemResolve = makeResolve();

/** The policy denies a connection. */
export class OutboundDenied extends Error {}

/** Destination of a connection. */
export interface Destination {
  /** Host as the VM's program wrote it. */
  host: string;
  port: number;
  /** Reason to deny it whatever the policy says. */
  refusal?: string | undefined;
  /** `true` for a connection that stays open while only one side has ended it. */
  allowHalfOpen?: boolean | undefined;
  /** Finds the pid of the process that connects, to report it in a denial. */
  findPid?: (() => Promise<number | undefined>) | undefined;
}

/** A connection to the outside: a socket, or a stream to a client's machine. */
export type OutsideSocket = Duplex &
  Pick<Socket, "bytesRead" | "bytesWritten"> & {
    setNoDelay(): unknown;
    setKeepAlive(on: boolean, ms: number): unknown;
    setTimeout(ms: number, late: () => void): unknown;
    resetAndDestroy(): unknown;
    destroySoon(): void;
  };

interface Live {
  /** `undefined` for a service of a client. */
  address: string | undefined;
  name: string | undefined;
  port: number;
}

/**
 * Opens outside connections that the policy allows. The gate resolves a name once, checks the resulting address and
 * connects to that same address. Later answers of a name server cannot bypass the check.
 */
export class OutboundGate {
  readonly #log: NetworkLog;
  readonly #report: Report;
  readonly #resolve: Resolve;
  readonly #offers: Offers;
  readonly #live = new Map<OutsideSocket, Live>();
  /** Bytes of outside connections that have ended. */
  #ended = { bytesOut: 0, bytesIn: 0 };
  #rules: OutboundRules;
  readonly #lookups = new Semaphore(MAX_OUTBOUND_LOOKUPS);
  #waiting = 0;
  #opening = 0;

  constructor(
    policy: OutboundPolicy,
    log: NetworkLog,
    resolve: Resolve = systemResolve,
    report: Report = () => undefined,
    offers: Offers = NO_OFFERS,
  ) {
    this.#offers = offers;
    this.#report = report;
    this.#rules = new OutboundRules(policy);
    this.#log = log;
    this.#resolve = resolve;
  }

  get policy(): OutboundPolicy {
    return this.#rules.policy;
  }

  /** Replaces the policy and cuts open connections that the new one denies. */
  change(policy: OutboundPolicy): void {
    this.#rules = new OutboundRules(policy);
    for (const [socket, { address, name, port }] of this.#live) {
      if (this.#refusal(name, address, port) !== undefined) socket.destroy();
    }
  }

  /**
   * Opens a connection to a destination.
   *
   * @throws OutboundDenied if the policy denies it (logged, and emitted as `networkDenied`); the system's error if the host
   * cannot be reached
   */
  async open(destination: Destination, signal: AbortSignal): Promise<OutsideSocket> {
    // Connections outlive those of the programs until their last bytes are sent.
    if (this.#live.size + this.#opening >= MAX_OUTSIDE_CONNECTIONS)
      throw new Error(`outside connection limit of the VM reached (${MAX_OUTSIDE_CONNECTIONS})`);
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

  async #open(
    { host, port, refusal: given, allowHalfOpen = false, findPid }: Destination,
    signal: AbortSignal,
  ): Promise<OutsideSocket> {
    const canonical = canonicalHost(host);
    if (canonical === undefined || port < 1 || port > 65_535)
      throw await this.#denied({ host, port, findPid }, "invalid host or port");
    const name = kindOf(canonical) === "name" ? canonical : undefined;
    const refusal = given ?? (name === undefined ? undefined : this.#rules.refuseName(name, port));
    if (refusal !== undefined) throw await this.#denied({ host: canonical, port, findPid }, refusal);
    if (name !== undefined && isOffer(name)) return await this.#openOffer(name, port, signal);
    const addresses = name === undefined ? [canonical] : await this.#lookup(name, signal);
    let reason: string | undefined;
    let failure: unknown;
    for (const address of addresses) {
      reason = this.#refusal(name, address, port);
      if (reason !== undefined) continue;
      try {
        const socket = await dial(address, port, allowHalfOpen, signal);
        if (signal.aborted) socket.destroy();
        signal.throwIfAborted();
        // The policy may have changed during the connect.
        reason = this.#refusal(name, address, port);
        if (reason === undefined) return this.#keep(socket, { address, name, port });
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
    if (isOffer(canonical)) return this.#offers.has(canonical) ? "found" : "absent";
    try {
      return (await this.#lookup(canonical, signal)).length > 0 ? "found" : "absent";
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      return ABSENT.has(code) ? "absent" : "failed";
    }
  }

  /** Returns why the policy denies a name, if it does. */
  refuseName(host: string, port: number): string | undefined {
    return this.#rules.refuseName(host, port);
  }

  /** Bytes of all outside connections since the last `close`. */
  get traffic(): { bytesOut: number; bytesIn: number } {
    const total = { ...this.#ended };
    for (const socket of this.#live.keys()) count(total, socket);
    return total;
  }

  close(): void {
    for (const socket of this.#live.keys()) socket.destroy();
    this.#live.clear();
    this.#ended = { bytesOut: 0, bytesIn: 0 };
  }

  async #openOffer(name: string, port: number, signal: AbortSignal): Promise<OutsideSocket> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(OUTBOUND_CONNECT_TIMEOUT_MS)]);
    const socket = await this.#offers.open(name, port, limit);
    socket.on("error", () => undefined);
    // The policy may have changed during the connect.
    const refusal = this.#refusal(name, undefined, port);
    if (refusal !== undefined) socket.destroy();
    if (refusal !== undefined) throw await this.#denied({ host: name, port }, refusal);
    return this.#keep(socket, { address: undefined, name, port });
  }

  #refusal(name: string | undefined, address: string | undefined, port: number): string | undefined {
    const named = name === undefined ? undefined : this.#rules.refuseName(name, port);
    if (address === undefined) return named;
    return named ?? this.#rules.refuseAddress(address, port, name);
  }

  #keep<Outside extends OutsideSocket>(socket: Outside, live: Live): Outside {
    this.#live.set(socket, live);
    socket.once("close", () => {
      this.#report({ kind: "traffic", bytesOut: socket.bytesWritten, bytesIn: socket.bytesRead });
      if (this.#live.delete(socket)) count(this.#ended, socket);
    });
    return socket;
  }

  /** Resolves a name in the VM's own queue, so that slow names of one VM delay no other VM. */
  async #lookup(name: string, signal: AbortSignal): Promise<string[]> {
    if (name === HOST_NAME) return ["127.0.0.1", "::1"];
    const waits = this.#lookups.busy >= MAX_OUTBOUND_LOOKUPS;
    if (waits && this.#waiting >= MAX_WAITING_LOOKUPS)
      throw new Error(
        `name lookup limit of the VM reached (MAX_WAITING_LOOKUPS = ${MAX_WAITING_LOOKUPS}). Try again later.`,
      );
    if (waits) this.#waiting += 1;
    await this.#lookups.acquire();
    if (waits) this.#waiting -= 1;
    try {
      signal.throwIfAborted();
      const found = await this.#resolve(name);
      return found.slice(0, MAX_LOOKUP_ADDRESSES).flatMap((address) => canonicalHost(address) ?? []);
    } finally {
      this.#lookups.release();
    }
  }

  async #denied({ host, port, findPid }: Destination, reason: string): Promise<OutboundDenied> {
    const shown = printable(host.slice(0, 253));
    // Look up the pid before answering: a program may exit as soon as it has the answer.
    const pid = await findPid?.();
    this.#log.denied({ host: shown, port, reason, ...(pid === undefined ? {} : { pid }) });
    return new OutboundDenied(`${shown}:${port} is denied: ${reason}`);
  }
}

/** Returns whether a name is one of a client's service. */
function isOffer(name: string): boolean {
  return isReservedName(name) && name !== HOST_NAME;
}

/** Connects to an address. `address` must not be a name, because `connect` would resolve it again. */
function dial(address: string, port: number, allowHalfOpen: boolean, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const family = kindOf(address) === "ipv6" ? 6 : 4;
    const socket = connect({ host: address, port, family, allowHalfOpen, noDelay: true });
    const fail = () => socket.destroy(new Error(`no answer from ${address}:${port}`));
    const timer = setTimeout(fail, OUTBOUND_CONNECT_TIMEOUT_MS);
    signal.addEventListener("abort", fail, { once: true });
    const cleanUp = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", fail);
    };
    socket.once("connect", () => {
      cleanUp();
      resolve(socket);
    });
    socket.once("close", cleanUp);
    socket.on("error", reject);
  });
}

function count(total: { bytesOut: number; bytesIn: number }, socket: OutsideSocket): void {
  total.bytesOut += socket.bytesWritten;
  total.bytesIn += socket.bytesRead;
}
