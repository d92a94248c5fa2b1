import type { Socket } from "node:net";
import type { OutboundPolicy } from "../../../api/methods/network.ts";
import { canonicalHost, parseNetworkRule } from "../../../api/network-rule.ts";
import type { Interception, Reach, SandboxNetwork } from "../../sandbox/network.ts";
import { MAX_LED_PORTS } from "../limits.ts";
import type { Destination } from "./destination.ts";
import type { OutboundGate } from "./gate.ts";
import { OutboundNames } from "./names.ts";
import type { OutboundProxy } from "./proxy.ts";
import { OutboundResolver } from "./resolver.ts";

/** Port in the VM of the server's sockets for intercepted connections and questions, if it is free. */
const INTERCEPT_PORT = 61_081;

const DNS_PORT = 53;

/** Ports that a rule without a port leads, if the host cannot lead all: ssh, http and https. */
const USUAL_PORTS = [22, 80, 443];

interface TransparentDeps {
  network: SandboxNetwork;
  gate: OutboundGate;
  proxy: OutboundProxy;
}

/**
 * The way out for programs without proxy support: every connection that a program opens and every DNS question arrives here
 * and meets the policy. The kernel says where a connection wants to go; a program cannot forge it.
 */
export class TransparentEgress {
  readonly #deps: TransparentDeps;
  readonly #names = new OutboundNames();
  readonly #interception: Interception;
  readonly #resolver: OutboundResolver;
  #reach: string;

  /** @throws Error if the host cannot intercept connections */
  static async start(deps: TransparentDeps): Promise<TransparentEgress> {
    const reach = reachOf(deps.gate.policy);
    let egress: TransparentEgress | undefined;
    const accept = (socket: Socket) => (egress === undefined ? socket.destroy() : egress.#accept(socket));
    const interception = await deps.network.intercept(INTERCEPT_PORT, reach, accept);
    egress = new TransparentEgress(deps, interception, reach);
    return egress;
  }

  private constructor(deps: TransparentDeps, interception: Interception, reach: Reach) {
    this.#deps = deps;
    this.#interception = interception;
    this.#reach = JSON.stringify(reach);
    this.#resolver = new OutboundResolver({
      gate: deps.gate,
      names: this.#names,
      hasIpv6: interception.hasIpv6,
    });
    for (const socket of interception.questions) this.#resolver.serve(socket);
  }

  /** Whether connections to every port arrive here. */
  get leadsAllPorts(): boolean {
    return this.#interception.leadsAllPorts;
  }

  /** Applies a policy that has changed. */
  async change(): Promise<void> {
    const reach = reachOf(this.#deps.gate.policy);
    const wanted = JSON.stringify(reach);
    if (wanted === this.#reach) return;
    await this.#interception.lead(reach);
    this.#reach = wanted;
  }

  close(): void {
    this.#resolver.close();
    this.#interception.close();
  }

  #accept(socket: Socket): void {
    const { proxy } = this.#deps;
    const destination = this.#destinationOf(socket);
    if (!proxy.admit(socket) || destination === undefined) return void socket.destroy();
    if (destination.port === DNS_PORT) void this.#resolver.serveStream(socket);
    else void proxy.direct(socket, destination);
  }

  /** Returns where a program wanted to go; `undefined` if it has already left. */
  #destinationOf({ localAddress, localPort: port }: Socket): Destination | undefined {
    const host = canonicalHost(localAddress ?? "");
    if (host === undefined || port === undefined) return undefined;
    const name = this.#names.nameOf(host);
    if (name !== null) return { host: name ?? host, port };
    return { host, port, refusal: "no name has this address any more: resolve the name again" };
  }
}

/** Returns the places and ports of a policy's rules that the set-up of a VM's network depends on. */
function reachOf(policy: OutboundPolicy): Reach {
  if (typeof policy === "string") return { places: [], ports: policy === "all" ? USUAL_PORTS : [] };
  const rules = [...policy.allow, ...(policy.ask ?? [])].flatMap((text) => parseNetworkRule(text) ?? []);
  const places = rules.flatMap(({ kind, host, bits, port }) => {
    const isPlace = kind === "ipv4" && host.startsWith("127.") && bits >= 8 && port !== undefined;
    return isPlace ? [{ address: host, bits, port }] : [];
  });
  const ports = new Set(rules.flatMap(({ port }) => port ?? USUAL_PORTS));
  return { places, ports: [...ports].slice(0, MAX_LED_PORTS) };
}
