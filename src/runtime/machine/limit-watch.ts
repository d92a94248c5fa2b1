import type { LimitWarningEvent } from "../../api/events.ts";

/** Part of a limit above which the VM warns. */
const WARN_AT = 0.8;
/** Part of a limit below which the VM may warn again. */
const REARM_BELOW = 0.7;

/** Amount of a resource in use, and its limit. */
export interface Gauge {
  /** Name of the limit. */
  limit: string;
  /** Option that raises it; `null` for a limit that is fixed. */
  path: string | null;
  /** `null` if the amount is not known. */
  observed: number | null;
  /** `undefined` without a limit. */
  capacity: number | undefined;
}

/** Warns once each time that a resource crosses 80 % of its limit, and again only after it was below 70 %. */
export class LimitWatch {
  readonly #warn: (warning: LimitWarningEvent) => void;
  readonly #crossed = new Set<string>();

  constructor(warn: (warning: LimitWarningEvent) => void) {
    this.#warn = warn;
  }

  check(gauges: readonly Gauge[]): void {
    for (const { limit, path, observed, capacity } of gauges) {
      if (observed === null || capacity === undefined) continue;
      const part = observed / capacity;
      if (part < REARM_BELOW) this.#crossed.delete(limit);
      if (part < WARN_AT || this.#crossed.has(limit)) continue;
      this.#crossed.add(limit);
      const raise = path === null ? "The limit is fixed." : `The option ${path} raises the limit.`;
      const message = `The VM uses ${observed} of ${capacity} (${limit}). ${raise}`;
      this.#warn({ limit, observed, capacity, path, message });
    }
  }

  /** Forgets what was crossed: the VM is down. */
  reset(): void {
    this.#crossed.clear();
  }
}
