import { AgentVmError, limitExceeded, vmDestroyed } from "../../api/errors.ts";
import type { OutsideSocket } from "../../runtime/network/outbound/connections.ts";
import type { Offers } from "../../runtime/network/outbound/offers.ts";
import { MAX_TUNNEL_OFFERS, MAX_TUNNELS, MAX_TUNNELS_PER_VM } from "../limits.ts";
import { WaitingBytes } from "./waiting-bytes.ts";

/** A client's WebSocket of a tunnel. */
interface OpenTunnel {
  end(error: AgentVmError): void;
}

/** Opens a connection to a client's service. */
export type OpenOffer = (signal: AbortSignal) => Promise<OutsideSocket>;

interface TunnelsOfVm {
  tunnels: Set<OpenTunnel>;
  /** Services of clients by name and port. */
  offers: Map<string, OpenOffer>;
}

/** The tunnels of one server, by VM. */
export class Tunnels {
  readonly #vms = new Map<string, TunnelsOfVm>();
  #tunnels = 0;
  /** Bytes that wait for the programs of VMs. */
  readonly waiting = new WaitingBytes();

  /** Counts a tunnel. @returns a function that forgets it. @throws AgentVmError `limit_exceeded` */
  add(actorId: string, tunnel: OpenTunnel): () => void {
    const vm = this.#vms.get(actorId) ?? { tunnels: new Set(), offers: new Map() };
    if (this.#tunnels >= MAX_TUNNELS) throw tooMany({ MAX_TUNNELS }, "Tunnel limit of the server reached");
    if (vm.tunnels.size >= MAX_TUNNELS_PER_VM)
      throw tooMany({ MAX_TUNNELS_PER_VM }, "Tunnel limit of the VM reached");
    this.#vms.set(actorId, vm);
    vm.tunnels.add(tunnel);
    this.#tunnels += 1;
    return () => {
      if (!vm.tunnels.delete(tunnel)) return;
      this.#tunnels -= 1;
      this.#forget(actorId, vm);
    };
  }

  /** Ends the tunnels of a VM that is destroyed. */
  destroyed(actorId: string): void {
    for (const tunnel of [...(this.#vms.get(actorId)?.tunnels ?? [])]) tunnel.end(vmDestroyed());
  }

  /**
   * Offers a client's service inside a VM.
   *
   * @returns a function that withdraws it. @throws AgentVmError `limit_exceeded`; `EADDRINUSE` if it is offered already
   */
  offer(actorId: string, host: string, port: number, open: OpenOffer): () => void {
    const vm = this.#vms.get(actorId);
    if (vm === undefined) throw vmDestroyed();
    const name = `${host}:${port}`;
    if (vm.offers.has(name))
      throw new AgentVmError("EADDRINUSE", `Another client offers ${name} in this VM`, { host, port });
    if (vm.offers.size >= MAX_TUNNEL_OFFERS)
      throw tooMany({ MAX_TUNNEL_OFFERS }, "Limit of offered services of the VM reached");
    vm.offers.set(name, open);
    return () => {
      if (vm.offers.get(name) === open) vm.offers.delete(name);
      this.#forget(actorId, vm);
    };
  }

  /** The services that clients offer in a VM. */
  offersOf(actorId: string): Offers {
    const offers = () => this.#vms.get(actorId)?.offers;
    return {
      has: (host) => [...(offers()?.keys() ?? [])].some((name) => name.startsWith(`${host}:`)),
      async open(host, port, signal) {
        const open = offers()?.get(`${host}:${port}`);
        if (open === undefined) throw new Error(`no client offers ${host}:${port}`);
        return await open(signal);
      },
    };
  }

  /** Numbers of what is open now, for tests. */
  get tally(): { vms: number; tunnels: number; bytes: number } {
    return { vms: this.#vms.size, tunnels: this.#tunnels, bytes: this.waiting.total };
  }

  #forget(actorId: string, vm: TunnelsOfVm): void {
    const isEmpty = vm.tunnels.size === 0 && vm.offers.size === 0;
    if (isEmpty && this.#vms.get(actorId) === vm) this.#vms.delete(actorId);
  }
}

function tooMany(limits: Record<string, number>, what: string): AgentVmError {
  return limitExceeded(limits, what, "Close a tunnel first.");
}
