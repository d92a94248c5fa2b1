import type { ServerResponse } from "node:http";
import { AgentVmError, actorNotFound } from "../../api/errors.ts";
import { parseGateway } from "../../api/gateway-path.ts";
import { rowOf } from "../../api/methods/table.ts";
import { assertNotDraining } from "../../monitoring/draining.ts";
import type { EndedCall } from "../../monitoring/monitor.ts";
import { errorOf } from "../../rivet/user-error.ts";
import type { AccessControl, Visitor } from "../access-control.ts";
import { ActorVisits, requireServed, type VisitedActors } from "../actor-visits.ts";
import { type Grant, requireRight } from "../grant.ts";
import { OwnAnswer, type Route } from "../http-gate.ts";
import type { BodyKind, BodyPlace, BodyWork } from "./body.ts";
import { requestIntoVm } from "./fetch.ts";
import { transcriptOut } from "./transcript.ts";
import { bytesIn, bytesOut } from "./transfers.ts";

interface BodyRoutesDeps extends VisitedActors {
  access: AccessControl;
  isVm(name: string): boolean;
  visitor(grant: Grant): Visitor;
}

const PATH = "/bytes/";
const ROUTE = /^\/request\/bytes\/(?:(transfer|transcript)\/([\w-]{1,64})|fetch)$/;

const KINDS: ReadonlyMap<string, BodyKind> = new Map([
  ["GET transfer", bytesOut],
  ["PUT transfer", bytesIn],
  ["GET transcript", transcriptOut],
  ["POST fetch", requestIntoVm],
]);

const visits = new ActorVisits<(place: BodyPlace) => Promise<void>>(PATH, { isCall: true });

/** Returns whether a path that RivetKit hands to an actor is that of a body. */
export function isBodyRequest(path: string): boolean {
  return path === PATH || path === `/request${PATH}`;
}

/** Codes of a write to a client that has closed its connection. */
const LEFT: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE"]);

/** Removes and returns the work that a request to an actor stands for. It never rejects. */
export function takeBody(request: Request): ((place: BodyPlace) => Promise<void>) | undefined {
  return visits.take(request);
}

/**
 * Finds the routes of bodies: bytes of transfers (`GET` and `PUT .../request/bytes/transfer/ID?offset=N`), transcripts
 * (`GET .../request/bytes/transcript/SESSION?format=json`) and requests into the VM (`POST .../request/bytes/fetch`). They are below the path of an actor, so a client reaches them as it reaches the actor.
 *
 * @returns `undefined` for any other request, and for an actor that is not a VM
 */
export function bodyRoutes(deps: BodyRoutesDeps): (method: string, path: string) => Route | undefined {
  return (method, path) => {
    const { actorId, rest = "" } = parseGateway(path) ?? {};
    const match = ROUTE.exec(rest);
    if (actorId === undefined || match === null) return undefined;
    const [, place = "fetch", id = ""] = match;
    const kind = KINDS.get(`${method} ${place}`);
    if (kind === undefined) return undefined;
    const name = deps.nameOf(actorId);
    if (name !== undefined && !deps.isVm(name)) return undefined;
    return async (request, grant) => {
      if (name === undefined || !deps.visitor(grant).reaches(actorId)) throw actorNotFound(actorId);
      assertNotDraining();
      requireRight(grant, rowOf(kind.method), { method: kind.method });
      const { searchParams: query } = new URL(request.url ?? "", "http://server");
      const work = kind.prepare({ request, query, id });
      return new OwnAnswer((response) => serve(deps, { actorId, grant, kind, work }, response));
    };
  };
}

interface Admitted {
  actorId: string;
  grant: Grant;
  kind: BodyKind;
  work: BodyWork;
}

/** Wakes the actor, and runs the work there. */
async function serve(
  deps: BodyRoutesDeps,
  { actorId, grant, kind: { method }, work }: Admitted,
  response: ServerResponse,
): Promise<void> {
  const { access } = deps;
  const gone = new AbortController();
  const abort = () => gone.abort();
  response.once("close", abort);
  const holder = { id: crypto.randomUUID(), state: grant };
  access.opened(holder, abort);
  const done = Promise.withResolvers<void>();
  // The actor reports a failure before this function waits for it.
  done.promise.catch(() => undefined);
  const visit = async ({ vm, monitor }: BodyPlace) => {
    const startedAt = performance.now();
    let error: EndedCall["error"];
    try {
      await monitor.traced(method, () => work.run(vm, response, gone.signal));
      done.resolve();
    } catch (thrown) {
      error = errorOf(thrown);
      if (!(thrown instanceof AgentVmError) && !LEFT.has((thrown as NodeJS.ErrnoException).code ?? ""))
        monitor.log.error({ msg: "internal error", action: method, err: thrown });
      done.reject(thrown);
    } finally {
      const { names } = rowOf(method).input;
      const ms = performance.now() - startedAt;
      monitor.called({ who: access.whoIs(grant), method, names, args: work.args, error, ms });
    }
  };
  try {
    requireServed(await visits.bring(deps, actorId, visit), actorId);
    await done.promise;
  } finally {
    access.live.closed(holder.id);
    response.removeListener("close", abort);
  }
}
