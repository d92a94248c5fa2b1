import type { LiveVm } from "./instance.ts";
import { CORS, takeVisit } from "./preview-door.ts";

/** Path of a preview as RivetKit hands it to onRequest: without the `/request` before it. */
const PREVIEW = /^(?:\/request)?(\/fetch\/([^/]*))(\/.*)?$/;

const TARGET_HEADER = "x-rivet-target";

/** RivetKit's runner of an engine collects an answer whole, however long it is, and sends no more than this. */
const MAX_ENGINE_BODY_BYTES = 20 * 1024 * 1024;

export function isPreviewRequest(path: string): boolean {
  return PREVIEW.test(path);
}

/**
 * The actor's onRequest. A request that our front door has let in stands for a browser's connection, which is answered
 * itself. Others, as through a Rivet Engine, come and go as objects: their paths are normalized, and WebSockets are not
 * among them.
 *
 * @param engineActor the actor's id where a Rivet Engine stands in front.
 */
export async function answerPreview(
  vm: LiveVm,
  request: Request,
  engineActor: string | undefined,
): Promise<Response> {
  const taken = takeVisit(request);
  if (taken !== undefined) {
    await vm.servePreview(taken.token, taken.visit);
    return new Response(null, { status: 204 });
  }
  const { pathname, search } = new URL(request.url);
  const [, prefix, token, rest = "/"] = PREVIEW.exec(pathname) ?? [];
  if (prefix === undefined || token === undefined) return new Response("Not Found", { status: 404 });
  if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: CORS });
  // Whoever names the actor in a header has no gateway's path in the URL.
  const hasGateway = engineActor !== undefined && !request.headers.has(TARGET_HEADER);
  return await vm.fetchPreview(token, {
    path: rest + search,
    prefix: `${hasGateway ? `/gateway/${engineActor}` : ""}/request${prefix}`,
    request,
    maxBodyBytes: engineActor === undefined ? undefined : MAX_ENGINE_BODY_BYTES,
  });
}
