import type { DirectoryTally } from "../directory/vm-directory.ts";
import { isDraining } from "../monitoring/draining.ts";
import type { Health } from "../monitoring/health.ts";
import type { Metrics } from "../monitoring/metrics.ts";
import type { PoolTally } from "../runtime/sandbox/pool/sandbox-pool.ts";
import { isWithin, requireRight } from "./grant.ts";
import { RawAnswer, type Route } from "./http-gate.ts";

/** Makes the answers of `/health/live` and `/health/ready`, which anybody may ask. */
export function healthRoutes(health: Health): Record<string, Route> {
  return {
    "GET /health/live": async () => ({ status: "live" }),
    "GET /health/ready": async () => {
      const readiness = await health.ready();
      const status = readiness.status === "ready" ? 200 : 503;
      return new RawAnswer(status, "application/json", JSON.stringify(readiness));
    },
  };
}

/**
 * Makes the answer of `/metrics`, for the administrator and for tokens with the right `admin` for all VMs.
 *
 * @param tally the VMs now; `undefined` before there is a data folder
 * @param pools VMs of each actor that are booted ahead
 */
export function metricsRoute(
  metrics: Metrics,
  tally: () => Promise<DirectoryTally> | undefined,
  pools: () => readonly (PoolTally | undefined)[],
): Route {
  return async (_request, grant) => {
    const isWhole = grant.unlimited === true || isWithin({ prefix: [""] }, grant.vms);
    requireRight(isWhole ? grant : { ...grant, may: [] }, { right: "admin" }, { route: "GET /metrics" });
    const text = await metrics.text(await tally(), isDraining(), pools());
    return new RawAnswer(200, metrics.contentType, text);
  };
}
