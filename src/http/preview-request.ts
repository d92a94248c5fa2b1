import { CORS } from "../runtime/network/previews/refusals.ts";
import type { LiveVm } from "../runtime/vm.ts";
import { takeVisit } from "./preview-gate.ts";

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

/**
 * Answers a request to an actor, if it is a preview's. A request from the PreviewGate identifies a browser's connection, which the VM answers
 * itself. A request through a Rivet Engine has a normalized path and cannot be a WebSocket.
 *
 * @param engineActor the actor's id if the server runs behind a Rivet Engine.
 * @returns `undefined` if the request is not for a preview
 */
export async function answerPreview(
  vm: Pick<LiveVm, "servePreview" | "fetchPreview">,
  request: Request,
  engineActor: string | undefined,
): Promise<Response | undefined> {
  const taken = takeVisit(request);
  if (taken !== undefined) {
    await vm.servePreview(taken.token, taken.visit, taken.admit);
    return new Response(null, { status: 204 });
  }
  const { pathname, search } = new URL(request.url);
  const [, prefix, token, rest = "/"] = PREVIEW.exec(pathname) ?? [];
  if (prefix === undefined || token === undefined) return undefined;
  if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: CORS });
  // If a client names the actor in a header, its URL has no gateway path.
  const hasGateway = engineActor !== undefined && !request.headers.has(TARGET_HEADER);
  return await vm.fetchPreview(token, {
    path: rest + search,
    prefix: `${hasGateway ? `/gateway/${engineActor}` : ""}/request${prefix}`,
    request,
    maxBodyBytes: engineActor === undefined ? undefined : MAX_ENGINE_BODY_BYTES,
  });
}
