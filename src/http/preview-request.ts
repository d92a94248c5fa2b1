import type { PreviewKeys } from "../runtime/network/previews/guard.ts";
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
 * Answers a request to an actor. A request from the PreviewGate identifies a browser's connection, which the VM answers
 * itself. A request through a Rivet Engine has a normalized path and cannot be a WebSocket.
 *
 * @param engineActor the actor's id if the server runs behind a Rivet Engine
 * @param keys tokens of the server that open the VM's previews
 */
export async function answerPreview(
  vm: Pick<LiveVm, "servePreview" | "fetchPreview">,
  request: Request,
  { engineActor, keys }: { engineActor: string | undefined; keys: PreviewKeys },
): Promise<Response> {
  const taken = takeVisit(request);
  if (taken !== undefined) {
    await vm.servePreview(taken.token, taken.visit, { admit: taken.admit, keys });
    return new Response(null, { status: 204 });
  }
  const { pathname, search } = new URL(request.url);
  const [, prefix, token, rest = "/"] = PREVIEW.exec(pathname) ?? [];
  if (prefix === undefined || token === undefined) return new Response("Not Found", { status: 404 });
  // If a client names the actor in a header, its URL has no gateway path.
  const hasGateway = engineActor !== undefined && !request.headers.has(TARGET_HEADER);
  const visit = {
    path: rest + search,
    prefix: `${hasGateway ? `/gateway/${engineActor}` : ""}/request${prefix}`,
    request,
    maxBodyBytes: engineActor === undefined ? undefined : MAX_ENGINE_BODY_BYTES,
  };
  return await vm.fetchPreview(token, visit, keys);
}
