import type { LiveVm } from "./instance.ts";
import { CORS, takeVisit } from "./preview-door.ts";

/** Path of a preview as RivetKit hands it to onRequest: without the `/request` before it. */
const PREVIEW = /^(?:\/request)?(\/fetch\/([^/]*))(\/.*)?$/;

export function isPreviewRequest(path: string): boolean {
  return PREVIEW.test(path);
}

/**
 * The actor's onRequest. A request that our front door has let in stands for a browser's connection, which is answered
 * itself. Others, as through a Rivet Engine, come and go as objects: their paths are normalized, and WebSockets are not
 * among them.
 */
export async function answerPreview(vm: LiveVm, request: Request): Promise<Response> {
  const taken = takeVisit(request);
  if (taken !== undefined) {
    await vm.servePreview(taken.token, taken.visit);
    return new Response(null, { status: 204 });
  }
  const { pathname, search } = new URL(request.url);
  const [, prefix, token, rest = "/"] = PREVIEW.exec(pathname) ?? [];
  if (prefix === undefined || token === undefined) return new Response("Not Found", { status: 404 });
  if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: CORS });
  return await vm.fetchPreview(token, rest + search, `/request${prefix}`, request);
}
