import { AgentVmError } from "../../../api/errors.ts";
import { PerSecond } from "../../../base/per-second.ts";
import type { SandboxNetwork } from "../../sandbox/network.ts";
import { MAX_DENIED_QUESTIONS } from "../limits.ts";
import type { OutboundGate } from "./gate.ts";
import { OutboundNames } from "./names.ts";
import { OutboundResolver } from "./resolver.ts";

/** Port at which programs ask if /etc/resolv.conf names no resolver. */
const DNS_PORT = 53;

/**
 * Name server of a VM under the policy `none`. No name exists for its programs, and the log shows which ones they asked for: programs
 * such as Node do not ask the proxy.
 */
export class DenyingResolver {
  /** Resolves when programs can ask, or never will. */
  readonly ready: Promise<void>;
  readonly #resolver: OutboundResolver;
  readonly #closed = new AbortController();
  readonly #questions = new PerSecond(MAX_DENIED_QUESTIONS);

  /** @param onFailure called if the VM's network cannot be reached, so that another try is worth it */
  constructor(network: SandboxNetwork, gate: OutboundGate, onFailure: () => void) {
    this.#resolver = new OutboundResolver({ gate, names: new OutboundNames(), hasIpv6: false });
    this.ready = this.#open(network).catch((error: unknown) => {
      // A program that has the port answers itself.
      if (error instanceof AgentVmError) onFailure();
    });
  }

  async #open(network: SandboxNetwork): Promise<void> {
    const socket = await network.takeDatagrams(DNS_PORT, this.#closed.signal);
    socket.on("message", () => {
      if (this.#questions.isTooMany()) this.close();
    });
    this.#resolver.serve(socket);
  }

  close(): void {
    this.#closed.abort();
    this.#resolver.close();
  }
}
