import type { SandboxNetwork } from "../../sandbox/network.ts";
import { MAX_DENIED_QUESTIONS } from "../limits.ts";
import type { OutboundGate } from "./gate.ts";
import { OutboundNames } from "./names.ts";
import { OutboundResolver } from "./resolver.ts";

/** Port at which programs ask if /etc/resolv.conf names no resolver. */
const DNS_PORT = 53;

const SECOND_MS = 1_000;

/**
 * Name server of a VM under the policy `none`. No name exists for its programs, and the log shows which ones they asked for: programs
 * such as Node do not ask the proxy.
 */
export class DenyingResolver {
  readonly #resolver: OutboundResolver;
  readonly #closed = new AbortController();
  #second = 0;
  #asked = 0;

  constructor(network: SandboxNetwork, gate: OutboundGate) {
    this.#resolver = new OutboundResolver({ gate, names: new OutboundNames(), hasIpv6: false });
    // A program that has the port answers itself.
    this.#open(network).catch(() => undefined);
  }

  async #open(network: SandboxNetwork): Promise<void> {
    const socket = await network.takeDatagrams(DNS_PORT, this.#closed.signal);
    socket.on("message", () => {
      if (this.#isTooMany()) this.close();
    });
    this.#resolver.serve(socket);
  }

  close(): void {
    this.#closed.abort();
    this.#resolver.close();
  }

  #isTooMany(): boolean {
    const now = performance.now();
    if (now - this.#second > SECOND_MS) [this.#second, this.#asked] = [now, 0];
    this.#asked += 1;
    return this.#asked > MAX_DENIED_QUESTIONS;
  }
}
