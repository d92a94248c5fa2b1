import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { AgentVmError, actorNotFound, connectionLost } from "../api/errors.ts";
import type { VmMonitor } from "../monitoring/monitor.ts";
import type { Actors } from "../rivet/driver.ts";
import { MOVED } from "../rivet/manager-guard.ts";
import type { PreviewKeys } from "../runtime/network/previews/guard.ts";
import type { LiveVm } from "../runtime/vm.ts";
import type { BodyPlace } from "./bodies/body.ts";

/** Tries to reach an actor. An actor that is falling asleep refuses a request and wakes with a later request. */
const MAX_TRIES = 20;

/** Milliseconds between two tries. */
const RETRY_MS = 250;

/** Header of the request that wakes an actor. Its value identifies the visit. */
const TICKET = "x-agent-vm-visit";

/** How long a visit may last. */
export interface VisitKind {
  /** Whether a server that shuts down waits for the end. A tunnel or WebSocket may last for ever. */
  isCall: boolean;
}

/** The actors of a server, with the way to the VMs that are awake. */
export interface VisitedActors extends Actors {
  /**
   * Lets a VM serve a connection, if it is awake in this process. A request through RivetKit takes ten times as long.
   *
   * @param serve must not reject
   * @returns `undefined` if the VM is not awake
   */
  serveAwake(
    actorId: string,
    serve: (vm: VisitedVm) => Promise<void>,
    kind: VisitKind,
  ): Promise<void> | undefined;
}

/**
 * Connections on their way to actors. A request through RivetKit wakes the actor, which takes the visit out and answers the
 * connection itself: RivetKit would normalize the path, limit the body, and drop pings, subprotocols and back-pressure.
 */
export class ActorVisits<Visit extends (vm: VisitedVm) => Promise<void>> {
  readonly #path: string;
  readonly #kind: VisitKind;
  /** Pending visits by ticket. */
  readonly #pending = new Map<string, Visit>();

  /** @param path path below the actor, by which `onRequest` knows these visits */
  constructor(path: string, kind: VisitKind) {
    this.#path = path;
    this.#kind = kind;
  }

  /** Removes and returns the visit that a request to an actor identifies. */
  take(request: Request): Visit | undefined {
    const ticket = request.headers.get(TICKET) ?? "";
    const found = this.#pending.get(ticket);
    this.#pending.delete(ticket);
    return found;
  }

  /**
   * Brings a visit to an actor, which wakes. Resolves when the actor has served it.
   *
   * @returns `unknown` if there is no such actor, `asleep` if it did not wake, `moved` if another server has it; the visit has
   * not begun then
   */
  async bring(actors: VisitedActors, actorId: string, visit: Visit): Promise<VisitOutcome> {
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      if (actors.nameOf(actorId) === undefined) return "unknown";
      const served = actors.serveAwake(actorId, visit, this.#kind);
      if (served !== undefined) {
        await served;
        return "served";
      }
      const ticket = randomUUID();
      this.#pending.set(ticket, visit);
      const request = new Request(`http://actor/request${this.#path}`, { headers: { [TICKET]: ticket } });
      const status = await actors.send(actorId, request).then(
        (response) => response.status,
        () => 503,
      );
      if (!this.#pending.delete(ticket)) return "served";
      if (status === 404 || status === 410) return "unknown";
      if (status === MOVED) return "moved";
      await delay(RETRY_MS);
    }
    return "asleep";
  }
}

type VisitOutcome = "served" | "unknown" | "asleep" | "moved";

/** @throws AgentVmError if a VM has not served a visit */
export function requireServed(outcome: VisitOutcome, actorId: string): void {
  if (outcome === "unknown") throw actorNotFound(actorId);
  if (outcome === "moved") throw connectionLost("The VM has just moved to another server");
  if (outcome === "asleep") throw new AgentVmError("vm_stopped", "The VM did not wake");
}

/** An awake VM that a connection visits. */
export interface VisitedVm {
  vm: Pick<LiveVm, "servePreview" | "servePort" | "openTunnel" | "mayOffer"> & BodyPlace["vm"];
  monitor: Pick<VmMonitor, "called" | "log" | "traced">;
  /** Tokens of the server that open the VM's previews. */
  keys: PreviewKeys;
}

/** Serves a connection by a VM, which stays awake until the promise settles. Must not reject. */
export type Visit = (visited: VisitedVm) => Promise<void>;

const connections = new ActorVisits<Visit>("/fetch/", { isCall: false });

/** Removes and returns the visit of a preview's or a tunnel's connection that a request to an actor identifies. */
export const takeVisit = (request: Request): Visit | undefined => connections.take(request);

/** Lets a VM serve a connection of a preview or a tunnel. @returns as `ActorVisits.bring` */
export const visitVm = (actors: VisitedActors, actorId: string, visit: Visit) =>
  connections.bring(actors, actorId, visit);
