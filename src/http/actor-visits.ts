import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { VmMonitor } from "../monitoring/monitor.ts";
import type { Actors } from "../rivet/guarded-driver.ts";
import type { PreviewKeys } from "../runtime/network/previews/guard.ts";
import type { LiveVm } from "../runtime/vm.ts";

/** Tries to reach an actor. An actor that is falling asleep refuses a request and wakes with a later request. */
const MAX_TRIES = 20;

/** Milliseconds between two tries. */
const RETRY_MS = 250;

/** Header of the request that wakes an actor. Its value identifies the visit. */
const TICKET = "x-agent-vm-visit";

/** An awake VM that a connection visits. */
export interface VisitedVm {
  vm: Pick<LiveVm, "servePreview" | "servePort" | "openTunnel" | "mayOffer">;
  monitor: Pick<VmMonitor, "called" | "log">;
  /** Tokens of the server that open the VM's previews. */
  keys: PreviewKeys;
}

/** Serves a connection by a VM, which stays awake until the promise settles. Must not reject. */
export type Visit = (visited: VisitedVm) => Promise<void>;

/** Pending visits by ticket. An actor takes its visit out. */
const visits = new Map<string, Visit>();

/** Removes and returns the visit that a request to an actor identifies. */
export function takeVisit(request: Request): Visit | undefined {
  const ticket = request.headers.get(TICKET) ?? "";
  const found = visits.get(ticket);
  visits.delete(ticket);
  return found;
}

/**
 * Wakes a VM with a request through RivetKit, and lets it serve a connection of the server itself. RivetKit would normalize
 * the path, limit the body, and drop pings, subprotocols and back-pressure.
 *
 * @returns `unknown` if the VM does not exist, `asleep` if it does not wake; the visit has not begun then
 */
export async function visitVm(
  actors: Actors,
  actorId: string,
  visit: Visit,
): Promise<"served" | "unknown" | "asleep"> {
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    if (actors.nameOf(actorId) === undefined) return "unknown";
    const ticket = randomUUID();
    visits.set(ticket, visit);
    const request = new Request("http://actor/request/fetch/", { headers: { [TICKET]: ticket } });
    const status = await actors.send(actorId, request).then(
      (response) => response.status,
      () => 503,
    );
    if (!visits.delete(ticket)) return "served";
    if (status === 404 || status === 410) return "unknown";
    await delay(RETRY_MS);
  }
  return "asleep";
}
