import { Counter, Gauge, type Registry } from "prom-client";
import type { PoolTally } from "../runtime/sandbox/pool/sandbox-pool.ts";

type Count = Exclude<keyof PoolTally, "waiting">;

/** Metrics of the VMs of a server that are booted ahead. */
export class PoolMetrics {
  readonly #waiting: Gauge;
  readonly #claims: Counter;
  readonly #boots: Counter;
  readonly #dropped: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#waiting = new Gauge({
      name: "agent_vm_pool_waiting",
      help: "VMs that are booted ahead and wait for their first call",
      registers,
    });
    this.#claims = new Counter({
      name: "agent_vm_pool_claims_total",
      help: "VMs that found one that was booted ahead (hit), or had to boot (miss)",
      labelNames: ["outcome"],
      registers,
    });
    this.#boots = new Counter({
      name: "agent_vm_pool_boots_total",
      help: "Boots ahead by outcome",
      labelNames: ["outcome"],
      registers,
    });
    this.#dropped = new Counter({
      name: "agent_vm_pool_dropped_total",
      help: "VMs that were booted ahead and ended without a call",
      registers,
    });
  }

  set(pools: readonly PoolTally[]): void {
    const total = (count: keyof PoolTally) => pools.reduce((sum, pool) => sum + pool[count], 0);
    const set = (counter: Counter, count: Count, labels: Record<string, string> = {}) =>
      counter.inc(labels, total(count));
    for (const counter of [this.#claims, this.#boots, this.#dropped]) counter.reset();
    this.#waiting.set(total("waiting"));
    set(this.#claims, "hits", { outcome: "hit" });
    set(this.#claims, "misses", { outcome: "miss" });
    set(this.#boots, "booted", { outcome: "ok" });
    set(this.#boots, "failed", { outcome: "failed" });
    set(this.#dropped, "dropped");
  }
}
