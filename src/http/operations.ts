import { AgentVmError } from "../api/errors.ts";
import type { DirectoryTally } from "../directory/vm-directory.ts";
import { isDraining } from "../monitoring/draining.ts";
import type { Health } from "../monitoring/health.ts";
import type { Metrics } from "../monitoring/metrics.ts";
import type { PoolTally } from "../runtime/sandbox/pool/sandbox-pool.ts";
import { type Grant, isWithin, requireRight } from "./grant.ts";
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

let askToStop: (() => void) | undefined;

/** Sets the function that shuts this process down, as SIGTERM does. */
export function onStopAsked(stop: () => void): void {
  askToStop = stop;
}

/** Makes the answer of `POST /drain`, which shuts the server down in order. It is for the administrator. */
export function drainRoute(): Route {
  return async (_request, grant) => {
    requireAdministrator(grant, "POST /drain");
    if (askToStop === undefined) {
      throw new AgentVmError("not_supported", "This server does not shut down on request", {
        hint: "Call exitOnSignals() in the server's program.",
      });
    }
    // The answer leaves before the process hears no more requests.
    setImmediate(askToStop);
    return { draining: true };
  };
}

/** @throws AgentVmError `forbidden` without the right `admin` for all VMs */
function requireAdministrator(grant: Grant, route: string): void {
  const isWhole = grant.unlimited === true || isWithin({ prefix: [""] }, grant.vms);
  requireRight(isWhole ? grant : { ...grant, may: [] }, { right: "admin" }, { route });
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
    requireAdministrator(grant, "GET /metrics");
    const text = await metrics.text(await tally(), isDraining(), pools());
    return new RawAnswer(200, metrics.contentType, text);
  };
}
