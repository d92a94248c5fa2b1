import { canonicalHost, HOST_NAME } from "../../../api/network-rule.ts";
import { Semaphore } from "../../../base/semaphore.ts";
import { MAX_LOOKUP_ADDRESSES, MAX_OUTBOUND_LOOKUPS, MAX_WAITING_LOOKUPS } from "../limits.ts";
import { makeResolve, type Resolve } from "./resolve.ts";

/** The system's resolver, which all VMs share. */
const systemResolve = makeResolve();

/** Resolves names in a queue of one VM, so that its slow names delay no other VM. */
export class OutboundLookups {
  readonly #resolve: Resolve;
  readonly #lookups = new Semaphore(MAX_OUTBOUND_LOOKUPS);

  constructor(resolve: Resolve = systemResolve) {
    this.#resolve = resolve;
  }

  /** Returns the addresses of a canonical name, in canonical form. */
  async find(name: string, signal: AbortSignal): Promise<string[]> {
    if (name === HOST_NAME) return ["127.0.0.1", "::1"];
    if (this.#lookups.waiting >= MAX_WAITING_LOOKUPS)
      throw new Error(
        `name lookup limit of the VM reached (MAX_WAITING_LOOKUPS = ${MAX_WAITING_LOOKUPS}). Try again later.`,
      );
    const found = await this.#lookups.run(() => this.#resolve(name), signal);
    return found.slice(0, MAX_LOOKUP_ADDRESSES).flatMap((address) => canonicalHost(address) ?? []);
  }
}
