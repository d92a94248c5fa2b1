import { type AgentVmError, limitExceeded } from "../../api/errors.ts";
import { MAX_TUNNEL_BYTES, MAX_TUNNEL_BYTES_PER_VM } from "../limits.ts";

/** Counts bytes of one connection, and may cut it. @returns a function that counts them no longer */
export type Hold = (bytes: number) => () => void;

/** A connection whose bytes wait for a program of a VM. */
interface Waiting {
  actorId: string;
  /** The client's WebSocket. */
  tunnel: object;
  bytes: number;
  isCut: boolean;
  cut(error: AgentVmError): void;
}

/**
 * Bytes of tunnels that wait in the server. Past a limit the connection with the most bytes is cut, among those of the tunnel
 * or the VM with the most, so that programs which read do not suffer from others.
 */
export class WaitingBytes {
  readonly #connections = new Set<Waiting>();
  /** Bytes of each VM. */
  readonly #vms = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** Makes the counter of a connection. @param cut resets the connection, because others need the room */
  of(actorId: string, tunnel: object, cut: (error: AgentVmError) => void): Hold {
    const waiting: Waiting = { actorId, tunnel, bytes: 0, isCut: false, cut };
    return (bytes) => this.#hold(waiting, bytes);
  }

  #hold(waiting: Waiting, bytes: number): () => void {
    const { actorId } = waiting;
    this.#connections.add(waiting);
    this.#count(waiting, bytes);
    while (this.#total > MAX_TUNNEL_BYTES)
      this.#cutHeaviest([...this.#connections], (one) => one.actorId, { MAX_TUNNEL_BYTES });
    while ((this.#vms.get(actorId) ?? 0) > MAX_TUNNEL_BYTES_PER_VM) {
      const ofVm = [...this.#connections].filter((one) => one.actorId === actorId);
      this.#cutHeaviest(ofVm, (one) => one.tunnel, { MAX_TUNNEL_BYTES_PER_VM });
    }
    return () => {
      if (!waiting.isCut) this.#count(waiting, -bytes);
    };
  }

  #cutHeaviest(
    among: readonly Waiting[],
    groupOf: (waiting: Waiting) => unknown,
    limit: Record<string, number>,
  ): void {
    const [group = []] = [...Map.groupBy(among, groupOf).values()].sort(
      (one, other) => sum(other) - sum(one),
    );
    const heaviest = group.reduce((one, other) => (other.bytes > one.bytes ? other : one));
    this.#count(heaviest, -heaviest.bytes);
    heaviest.isCut = true;
    heaviest.cut(
      limitExceeded(
        limit,
        "A program does not read what arrives through a tunnel",
        "Send less before the program reads.",
      ),
    );
  }

  #count(waiting: Waiting, bytes: number): void {
    const { actorId } = waiting;
    const ofVm = (this.#vms.get(actorId) ?? 0) + bytes;
    if (ofVm === 0) this.#vms.delete(actorId);
    else this.#vms.set(actorId, ofVm);
    waiting.bytes += bytes;
    this.#total += bytes;
    if (waiting.bytes === 0) this.#connections.delete(waiting);
  }
}

function sum(connections: readonly Waiting[]): number {
  return connections.reduce((total, { bytes }) => total + bytes, 0);
}
