import { lookup } from "node:dns/promises";
import { connect, type Socket } from "node:net";
import { MAX_OUTBOUND_LOOKUPS, OUTBOUND_CONNECT_TIMEOUT_MS } from "../../../api/limits.ts";
import { canonicalHost, kindOf } from "../../../api/network-rule.ts";
import type { OutboundPolicy } from "../../../api/types.ts";
import type { NetworkLog } from "./log.ts";
import { OutboundRules } from "./rules.ts";

/** Addresses of a name; for tests another one than the system's. */
export type Resolve = (host: string) => Promise<string[]>;

/** The policy says no. */
export class OutboundDenied extends Error {}

/** Where a connection goes. */
export interface Destination {
  /** As the VM's program wrote it. */
  host: string;
  port: number;
  /** Finds out which process asks, for a denial to tell. */
  asker?: (() => Promise<number | undefined>) | undefined;
}

interface Live {
  address: string;
  name: string | undefined;
  port: number;
}

/**
 * Opens connections to the outside as far as the policy allows. A name is resolved once, here, and what is judged is
 * the very address that is then connected to: nothing that a name server says later matters.
 */
export class OutboundGate {
  readonly #log: NetworkLog;
  readonly #resolve: Resolve;
  readonly #live = new Map<Socket, Live>();
  #rules: OutboundRules;
  #lookups = 0;

  constructor(policy: OutboundPolicy, log: NetworkLog, resolve: Resolve = systemResolve) {
    this.#rules = new OutboundRules(policy);
    this.#log = log;
    this.#resolve = resolve;
  }

  get policy(): OutboundPolicy {
    return this.#rules.policy;
  }

  /** Holds for what is open as well: what is no longer allowed is cut. */
  change(policy: OutboundPolicy): void {
    this.#rules = new OutboundRules(policy);
    for (const [socket, { address, name, port }] of this.#live) {
      if (this.#refusal(name, address, port) !== undefined) socket.destroy();
    }
  }

  /**
   * @throws OutboundDenied, which is logged and told; the system's error where the other side cannot be reached.
   */
  async open({ host, port, asker }: Destination, signal: AbortSignal): Promise<Socket> {
    const canonical = canonicalHost(host);
    if (canonical === undefined || port < 1 || port > 65_535)
      throw await this.#denied({ host, port, asker }, "this is no host and port");
    const name = kindOf(canonical) === "name" ? canonical : undefined;
    const refusal = name === undefined ? undefined : this.#rules.refuseName(name, port);
    if (refusal !== undefined) throw await this.#denied({ host: canonical, port, asker }, refusal);
    const addresses = name === undefined ? [canonical] : await this.#lookup(name);
    let reason: string | undefined;
    let failure: unknown;
    for (const address of addresses) {
      reason = this.#refusal(name, address, port);
      if (reason !== undefined) continue;
      try {
        const socket = await dial(address, port, signal);
        // The policy may have changed meanwhile.
        reason = this.#refusal(name, address, port);
        if (reason === undefined) return this.#keep(socket, { address, name, port });
        socket.destroy();
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
    }
    if (failure !== undefined) throw failure;
    throw await this.#denied({ host: canonical, port, asker }, reason ?? "the name has no address");
  }

  close(): void {
    for (const socket of this.#live.keys()) socket.destroy();
  }

  #refusal(name: string | undefined, address: string, port: number): string | undefined {
    const named = name === undefined ? undefined : this.#rules.refuseName(name, port);
    return named ?? this.#rules.refuseAddress(address, port, name !== undefined);
  }

  #keep(socket: Socket, live: Live): Socket {
    this.#live.set(socket, live);
    socket.once("close", () => this.#live.delete(socket));
    return socket;
  }

  async #lookup(name: string): Promise<string[]> {
    // The system's resolver has few threads, for all VMs together.
    if (this.#lookups >= MAX_OUTBOUND_LOOKUPS) throw new Error("too many names are being resolved");
    this.#lookups += 1;
    try {
      const found = await this.#resolve(name);
      return found.flatMap((address) => canonicalHost(address) ?? []);
    } finally {
      this.#lookups -= 1;
    }
  }

  async #denied({ host, port, asker }: Destination, reason: string): Promise<OutboundDenied> {
    const shown = host.slice(0, 253);
    // Before the answer: a program that has it may be gone.
    const pid = await asker?.();
    this.#log.denied({ host: shown, port, reason, ...(pid === undefined ? {} : { pid }) });
    return new OutboundDenied(`${shown}:${port} is denied: ${reason}`);
  }
}

async function systemResolve(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** One address, which must not be looked up again. */
function dial(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, family: kindOf(address) === "ipv6" ? 6 : 4 });
    const giveUp = () => socket.destroy(new Error(`no answer from ${address}:${port}`));
    const timer = setTimeout(giveUp, OUTBOUND_CONNECT_TIMEOUT_MS);
    signal.addEventListener("abort", giveUp, { once: true });
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
    };
    socket.once("connect", () => {
      settle();
      resolve(socket);
    });
    socket.once("close", settle);
    socket.on("error", reject);
  });
}
