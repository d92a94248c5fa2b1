import type { IncomingMessage } from "node:http";
import { AgentVmError, limitExceeded, previewDenied } from "../../../api/errors.ts";
import { EndSignal } from "../../../base/end-signal.ts";
import { readAtMost } from "../../../base/read-at-most.ts";
import { within } from "../../../base/within.ts";
import { LOGIN_MS, MAX_PREVIEW_CONNECTIONS } from "../limits.ts";
import type { AppPorts } from "../requests/app-ports.ts";
import { headerValues } from "../requests/end-to-end.ts";
import type { VmAgent } from "../requests/http-agent.ts";
import { dropAuthorization } from "./authorization.ts";
import { preflightAnswer } from "./cors.ts";
import type { Knock, PreviewKeys, Verdict } from "./guard.ts";
import { MAX_FORM_BYTES } from "./login-page.ts";
import { type PreviewFetch, proxyFetch } from "./preview-fetch.ts";
import type { PreviewLog } from "./preview-log.ts";
import {
  type PreviewRequest,
  type PreviewUpgrade,
  type PreviewWay,
  proxyRequest,
  proxyUpgrade,
} from "./preview-proxy.ts";
import type { OpenPreview, Previews } from "./previews.ts";
import {
  answerResponse,
  CORS,
  type PreviewAnswer,
  refusalResponse,
  refuse,
  refuseUpgrade,
  sendAnswer,
} from "./refusals.ts";

/** The server's part of a visit. */
export interface Doorkeeper {
  /** Called if the visitor has access, before the app is asked. */
  admit(): void;
  /** Tokens of the server that open the VM's previews. */
  keys?: PreviewKeys | undefined;
}

interface PreviewServerDeps {
  previews: Pick<Previews, "open">;
  log: PreviewLog;
  ports: Pick<AppPorts, "connect" | "speaksTls">;
  /** Keeps connections to ports. */
  kept: VmAgent;
}

/** Serves the visitors of a VM's previews. */
export class PreviewServer {
  readonly #deps: PreviewServerDeps;
  #visits = 0;

  constructor(deps: PreviewServerDeps) {
    this.#deps = deps;
  }

  /** Serves a browser's request or WebSocket. Never rejects. */
  async serve(token: string, visit: PreviewRequest | PreviewUpgrade, door: Doorkeeper): Promise<void> {
    const browser = "socket" in visit ? visit.socket : visit.response;
    const fail = (error: AgentVmError) =>
      "socket" in visit ? refuseUpgrade(visit.socket, error) : refuse(visit.response, error);
    if (this.#visits >= MAX_PREVIEW_CONNECTIONS) return fail(busy());
    this.#visits += 1;
    let note: ((status?: number) => void) | undefined;
    let access: Access | undefined;
    try {
      const preview = await this.#deps.previews.open(token);
      if (preview === undefined) return fail(previewDenied());
      const { request, path } = visit;
      note = this.#noteOf(preview, request.method ?? "", path);
      const verdict = await admit(preview, knockOf(visit, door.keys));
      if ("answer" in verdict) return sendAnswer(browser, verdict.answer);
      // The app reads the headers from here.
      request.rawHeaders.splice(0, request.rawHeaders.length, ...verdict.rawHeaders);
      door.admit();
      access = accessOf(preview, verdict, door.keys);
      const way = this.#wayOf(preview, access, (status) => note?.(status));
      await ("socket" in visit ? proxyUpgrade(visit, way) : proxyRequest(visit, way));
    } catch (error) {
      fail(new AgentVmError("preview_failed", "The preview could not be served", {}, { cause: error }));
    } finally {
      this.#visits -= 1;
      access?.forget();
      if ("response" in visit) note?.(visit.response.headersSent ? visit.response.statusCode : undefined);
      else note?.();
    }
  }

  /** Serves a request that arrives as a `Request` object. It counts as open until its response begins. */
  async fetch(token: string, visit: PreviewFetch, keys?: PreviewKeys): Promise<Response> {
    if (this.#visits >= MAX_PREVIEW_CONNECTIONS) return refusalResponse(busy());
    this.#visits += 1;
    let note: ((status?: number) => void) | undefined;
    let response: Response | undefined;
    let access: Access | undefined;
    try {
      const { request, path } = visit;
      const preview = await this.#deps.previews.open(token);
      if (preview === undefined && request.method === "OPTIONS")
        return answerResponse({ status: 204, headers: CORS, body: "" });
      if (preview === undefined) return refusalResponse(previewDenied());
      note = this.#noteOf(preview, request.method, path);
      const verdict = await admit(preview, knockOfFetch(visit, keys));
      if ("answer" in verdict) response = answerResponse(verdict.answer);
      else {
        const rawHeaders = [...verdict.rawHeaders];
        if (visit.isOurs !== undefined) dropAuthorization(rawHeaders, visit.isOurs);
        access = accessOf(preview, verdict, keys);
        // Only the preview ends a body that streams on.
        const way = this.#wayOf(preview, preview);
        response = await proxyFetch({ ...visit, rawHeaders, over: access.ended }, way);
      }
      return response;
    } finally {
      this.#visits -= 1;
      access?.forget();
      note?.(response?.status);
    }
  }

  #wayOf(
    { port, settings }: OpenPreview,
    { ended }: Pick<Access, "ended">,
    answered?: (status: number) => void,
  ): PreviewWay {
    const { ports, kept } = this.#deps;
    const { connect, speaksTls } = ports;
    const { host, cors } = settings;
    return { port, host, cors, ended, connect, kept, speaksTls, ...(answered && { answered }) };
  }

  /** Returns a function that notes the end of a request, once. The first status counts. */
  #noteOf({ id, name, port, settings }: OpenPreview, method: string, path: string) {
    const time = Date.now();
    const startedAt = performance.now();
    let isNoted = settings.log !== true;
    return (status?: number) => {
      if (isNoted) return;
      isNoted = true;
      const ms = Math.round(performance.now() - startedAt);
      const named = name === undefined ? {} : { name };
      this.#deps.log.add({ id, ...named, port, time, method, path, ...(status && { status }), ms });
    };
  }
}

/** The access of an admitted visitor. */
interface Access {
  /** Aborts when the preview ends, or the token that has opened it. */
  ended: AbortSignal;
  forget(): void;
}

function accessOf(
  { ended }: OpenPreview,
  { by }: Extract<Verdict, { rawHeaders: string[] }>,
  keys: PreviewKeys | undefined,
): Access {
  if (by === undefined || keys === undefined) return { ended, forget: () => undefined };
  const over = new AbortController();
  const unwatch = keys.watch(by, () => over.abort());
  const end = new EndSignal([ended, over.signal]);
  const forget = () => {
    unwatch();
    end.release();
  };
  return { ended: end.signal, forget };
}

/** Decides whether a visitor gets to the app. */
async function admit({ settings, guard }: OpenPreview, knock: Knock): Promise<Verdict> {
  const header = (wanted: string) => headerValues(knock.rawHeaders, wanted)[0];
  const answer: PreviewAnswer | undefined = preflightAnswer(settings.cors, { ...knock, header });
  if (answer !== undefined) return { answer };
  return guard === undefined ? { rawHeaders: [...knock.rawHeaders] } : await guard.admit(knock);
}

function knockOf(visit: PreviewRequest | PreviewUpgrade, keys: PreviewKeys | undefined): Knock {
  const { request, path, prefix } = visit;
  const isSecure = "encrypted" in request.socket || request.headers["x-forwarded-proto"] === "https";
  const { method = "", rawHeaders } = request;
  return { method, rawHeaders, path, prefix, isSecure, keys, form: () => readForm(request) };
}

function knockOfFetch({ request, path, prefix }: PreviewFetch, keys: PreviewKeys | undefined): Knock {
  const { method, headers, body } = request;
  const isSecure = headers.get("x-forwarded-proto") === "https";
  const form = async () => (body === null ? undefined : await readForm(body as unknown as Body));
  return { method, rawHeaders: [...headers].flat(), path, prefix, isSecure, keys, form };
}

type Body = AsyncIterable<Uint8Array>;

/** Reads a form; `undefined` if it is large, slow or cut off. */
async function readForm(body: Body | IncomingMessage): Promise<string | undefined> {
  const reading = readAtMost(body as Body, MAX_FORM_BYTES).catch(() => undefined);
  return (await within(reading, LOGIN_MS))?.toString();
}

/** Error of a VM with too many visits. */
export function busy(): AgentVmError {
  return limitExceeded(
    { MAX_PREVIEW_CONNECTIONS },
    "Preview connection limit of the VM reached",
    "Try again later.",
  );
}
