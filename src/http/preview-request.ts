import { gatewayPath } from "../api/gateway-path.ts";
import type { PreviewKeys } from "../runtime/network/previews/guard.ts";
import type { LiveVm } from "../runtime/vm.ts";
import { takeVisit, type VisitedVm } from "./actor-visits.ts";

/** Path of a preview, as RivetKit hands it to `onRequest`: with or without the leading `/request`. */
const PREVIEW = /^(?:\/request)?(\/fetch\/([^/]*))(\/.*)?$/;

const TARGET_HEADER = "x-rivet-target";

/**
 * Response of a preview behind a Rivet Engine, which does not stream.
 * @unit bytes
 * @past The response is refused with 413.
 * @code response_too_large
 */
const MAX_ENGINE_BODY_BYTES = 20 * 1024 * 1024;

/** @returns whether a path that RivetKit hands to an actor is a preview's. */
export function isPreviewRequest(path: string): boolean {
  return PREVIEW.test(path);
}

/** The server, for a request to a preview. */
interface PreviewFacts {
  /** The actor's id if the server runs behind a Rivet Engine. */
  engineActor: string | undefined;
  /** Tokens of the server that open the VM's previews. */
  keys: PreviewKeys;
  /** Returns whether an `Authorization` header is for the server. Such a header does not reach the app. */
  isOurs(authorization: string): boolean;
}

/**
 * Answers a request to an actor, if it is a preview's. A request of a gate identifies a connection of the server, which the VM serves
 * itself. A request through a Rivet Engine has a normalized path and cannot be a WebSocket.
 *
 * @returns `undefined` if the request is not for a preview
 */
export async function answerPreview(
  { vm, monitor }: { vm: VisitedVm["vm"] & Pick<LiveVm, "fetchPreview">; monitor: VisitedVm["monitor"] },
  request: Request,
  { engineActor, keys, isOurs }: PreviewFacts,
): Promise<Response | undefined> {
  const taken = takeVisit(request);
  if (taken !== undefined) {
    await taken({ vm, monitor, keys });
    return new Response(null, { status: 204 });
  }
  const { pathname, search } = new URL(request.url);
  const [, prefix, token, rest = "/"] = PREVIEW.exec(pathname) ?? [];
  if (prefix === undefined || token === undefined) return undefined;
  // If a client names the actor in a header, its URL has no gateway path.
  const hasGateway = engineActor !== undefined && !request.headers.has(TARGET_HEADER);
  const visit = {
    path: rest + search,
    prefix: hasGateway ? gatewayPath(engineActor, `/request${prefix}`) : `/request${prefix}`,
    request,
    isOurs,
    maxBodyBytes: engineActor === undefined ? undefined : MAX_ENGINE_BODY_BYTES,
  };
  return await vm.fetchPreview(token, visit, keys);
}
