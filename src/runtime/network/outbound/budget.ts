import { Meter } from "./meter.ts";
import type { OutboundOptions } from "./outbound.ts";

const MINUTE_MS = 60_000;

/** Limits of what a VM sends and receives outside. */
export type OutboundLimits = OutboundOptions["limits"];

/** The limits of one VM's connections, and what it has used of them. */
export class OutboundBudget {
  readonly meter: Meter;
  readonly #limits: OutboundLimits;
  /** Begin of a minute, and the connections in it. */
  #minute = { since: Number.NEGATIVE_INFINITY, count: 0 };

  /** @param onSpent called with the reason when the VM has used up its bytes */
  constructor(limits: OutboundLimits, onSpent: (reason: string) => void) {
    this.#limits = limits;
    this.meter = new Meter(limits, () => onSpent(this.#spent()));
  }

  /** Counts a connection. @returns the limit that it exceeds */
  exceeded(): string | undefined {
    if (this.meter.isSpent) return this.#spent();
    const { connectionsPerMinute } = this.#limits;
    if (connectionsPerMinute === undefined) return undefined;
    const now = performance.now();
    if (now - this.#minute.since >= MINUTE_MS) this.#minute = { since: now, count: 0 };
    this.#minute.count += 1;
    if (this.#minute.count <= connectionsPerMinute) return undefined;
    return `the VM's limit of connections in a minute is reached (connectionsPerMinute = ${connectionsPerMinute})`;
  }

  #spent(): string {
    return `the VM's limit of bytes outside is used up (totalBytes = ${this.#limits.totalBytes})`;
  }
}
