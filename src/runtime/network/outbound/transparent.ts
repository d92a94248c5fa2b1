import type { Socket } from "node:net";
import type { OutboundPolicy } from "../../../api/methods/network.ts";
import { canonicalHost, parseNetworkRule } from "../../../api/network-rule.ts";
import type { Interception, LoopbackPlace, SandboxNetwork } from "../../sandbox/network.ts";
import type { Destination, OutboundGate } from "./gate.ts";
import { OutboundNames } from "./names.ts";
import type { OutboundProxy } from "./proxy.ts";
import { OutboundResolver } from "./resolver.ts";

/** Port in the VM of the server's sockets for intercepted connections and questions, if it is free. */
const INTERCEPT_PORT = 61_081;

const DNS_PORT = 53;

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
  #places: string;

  /** @throws Error if the host cannot intercept connections */
  static async start(deps: TransparentDeps): Promise<TransparentEgress> {
    const places = placesOf(deps.gate.policy);
    const interception = await deps.network.intercept(INTERCEPT_PORT, places);
    return new TransparentEgress(deps, interception, places);
  }

  private constructor(deps: TransparentDeps, interception: Interception, places: LoopbackPlace[]) {
    this.#deps = deps;
    this.#interception = interception;
    this.#places = JSON.stringify(places);
    this.#resolver = new OutboundResolver({
      gate: deps.gate,
      names: this.#names,
      hasIpv6: interception.hasIpv6,
    });
    for (const server of interception.connections) {
      // A program may end its side and wait for the rest of the other.
      Object.assign(server, { allowHalfOpen: true });
      server.on("connection", (socket: Socket) => this.#accept(socket));
      server.on("error", () => server.close());
    }
    for (const socket of interception.questions) this.#resolver.serve(socket);
  }

  /** Applies a policy that has changed. */
  async change(): Promise<void> {
    const places = placesOf(this.#deps.gate.policy);
    const wanted = JSON.stringify(places);
    if (wanted === this.#places) return;
    await this.#interception.lead(places);
    this.#places = wanted;
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

/** Returns the places in 127.0.0.0/8 that a policy's rules open. */
function placesOf(policy: OutboundPolicy): LoopbackPlace[] {
  if (typeof policy === "string") return [];
  return [...policy.allow, ...(policy.ask ?? [])].flatMap((text) => {
    const { kind, host = "", bits = 0, port } = parseNetworkRule(text) ?? {};
    const isPlace = kind === "ipv4" && host.startsWith("127.") && bits >= 8 && port !== undefined;
    return isPlace ? [{ address: host, bits, port }] : [];
  });
}
