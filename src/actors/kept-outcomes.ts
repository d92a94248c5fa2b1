import type { CallOutcome } from "../api/methods/transport.ts";
import { FairPool, PooledKeeper } from "../base/fair-pool.ts";
import { MAX_SERVER_KEPT_OUTCOME_BYTES } from "./limits.ts";

/** Outcomes that all VMs keep. */
const keptOutcomes = new FairPool(MAX_SERVER_KEPT_OUTCOME_BYTES);

export interface KeptLimits {
  /** Running calls and kept outcomes together. @default MAX_CALLS */
  calls: number;
  /** Bytes of all kept outcomes. @default MAX_KEPT_OUTCOME_BYTES */
  keptBytes: number;
  /** Milliseconds that an outcome is kept. @default CALL_RETENTION_MS */
  retentionMs: number;
  /** Number of spent keys. @default MAX_CALL_TOMBSTONES */
  tombstones: number;
}

interface KeptOutcome {
  outcome: CallOutcome;
  bytes: number;
  settledAt: number;
}

/**
 * Outcomes of the ended calls of one VM. An outcome is kept until the client acknowledges it, until it is too old, or until newer
 * outcomes need its place. An outcome that was dropped unacknowledged leaves a spent key (`call_lost`).
 */
export class KeptOutcomes extends PooledKeeper {
  readonly #limits: KeptLimits;
  /** Oldest first. */
  readonly #kept = new Map<string, KeptOutcome>();
  /** Oldest first. */
  readonly #spent = new Set<string>();
  #sweep: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor(limits: KeptLimits, pool = keptOutcomes) {
    super(pool);
    this.#limits = limits;
  }

  /** Keys of kept outcomes, and spent keys. */
  keys(): string[] {
    return [...this.#kept.keys(), ...this.#spent];
  }

  get(callId: string): CallOutcome | undefined {
    return this.#kept.get(callId)?.outcome;
  }

  isSpent(callId: string): boolean {
    return this.#spent.has(callId);
  }

  /** @param running calls that have no outcome yet */
  add(callId: string, outcome: CallOutcome, bytes: number, running: number): void {
    if (this.#isDisposed) return;
    this.#kept.set(callId, { outcome, bytes, settledAt: Date.now() });
    this.change(bytes);
    this.makeRoom(running);
    this.#scheduleSweep();
  }

  /** Drops the oldest outcomes past the limits. @param running calls that have no outcome yet */
  makeRoom(running: number): void {
    for (const callId of this.#kept.keys()) {
      const crowded = running + this.#kept.size > this.#limits.calls;
      if (!crowded && this.bytes <= this.#limits.keptBytes) return;
      this.#spend(callId);
    }
  }

  /** Drops the oldest outcomes for the sake of other VMs. */
  shrinkTo(bytes: number): void {
    for (const callId of this.#kept.keys()) {
      if (this.bytes <= bytes) return;
      this.#spend(callId);
    }
  }

  /** Forgets an outcome that has arrived. */
  forget(callId: string): void {
    const kept = this.#kept.get(callId);
    if (!kept) return;
    this.#kept.delete(callId);
    this.change(-kept.bytes);
  }

  /** Drops all outcomes, and keeps no more. */
  dispose(): void {
    this.#isDisposed = true;
    clearTimeout(this.#sweep);
    this.#kept.clear();
    this.change(-this.bytes);
  }

  #spend(callId: string): void {
    this.forget(callId);
    this.#spent.add(callId);
    for (const oldest of this.#spent) {
      if (this.#spent.size <= this.#limits.tombstones) break;
      this.#spent.delete(oldest);
    }
  }

  #scheduleSweep(): void {
    if (this.#sweep !== undefined) return;
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined;
      const expired = Date.now() - this.#limits.retentionMs;
      for (const [callId, { settledAt }] of this.#kept) if (settledAt <= expired) this.#spend(callId);
      if (this.#kept.size > 0) this.#scheduleSweep();
    }, this.#limits.retentionMs).unref();
  }
}
