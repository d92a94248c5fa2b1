import {
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
  request as startRequest,
} from "node:http";
import type { Duplex } from "node:stream";
import { AgentVmError } from "../../../api/errors.ts";
import { badRequest, type Framing, framingOf, hasBody } from "../requests/framing.ts";
import { type Connect, connectWith, type VmAgent } from "../requests/http-agent.ts";
import { http2Only } from "../requests/http2-only.ts";
import { relay } from "../requests/relay.ts";
import { relayUpgrade } from "../requests/relay-upgrade.ts";
import { type PreviewApp, requestHeaders, responseHeaders } from "./preview-headers.ts";
import { refuse, refuseUpgrade } from "./refusals.ts";

/** A browser's request below a preview's path. */
interface PreviewVisit {
  /** Path and query for the app, byte for byte as the browser sent them. */
  path: string;
  /** Path of the preview as the browser sees it, without a final slash. */
  prefix: string;
  request: IncomingMessage;
}

export interface PreviewRequest extends PreviewVisit {
  response: ServerResponse;
}

/** A WebSocket request: its connection, and the bytes that arrived after the request's head. */
export interface PreviewUpgrade extends PreviewVisit {
  socket: Duplex;
  head: Buffer;
}

export interface PreviewWay extends PreviewApp {
  /** Opens a connection for one request or WebSocket. */
  connect: Connect;
  /** Keeps connections, for requests that may be repeated. */
  kept?: VmAgent;
  /** Whether a port has just turned out to speak TLS, so that a request can be repeated. */
  speaksTls(port: number): Promise<boolean>;
  /** Aborted when the preview expires or is revoked, or the VM stops. */
  ended: AbortSignal;
  /** Called with the status of the answer to an upgrade. */
  answered?(status: number): void;
}

/** Reason of a connection that nobody needs any more. To make an error for each request takes longer than to send it. */
const GONE = new Error("the browser has left, or the preview has ended");

/** Methods that may be repeated when a kept connection has closed just as the request started. */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS"]);

/** Forwards a request to a port of the VM and streams the response back. Resolves when the connection is done. */
export async function proxyRequest(visit: PreviewRequest, way: PreviewWay): Promise<void> {
  const { request, response, prefix } = visit;
  const framing = framingOf(request);
  // A service worker could give its pages the headers that `responseHeaders` removes.
  const isWorker = prefix !== "" && request.headers["service-worker"] !== undefined;
  if (request.method === "TRACE" || framing === undefined || isWorker)
    return refuse(response, badRequest(request));
  const kept = !hasBody(framing) && REPEATABLE.has(request.method ?? "") ? way.kept : undefined;
  const outgoing = outgoingOf(visit, way, framing, response, kept);
  await exchange(outgoing, response, way.ended, () =>
    relay(request, response, outgoing, {
      framing,
      headersOf(raw) {
        const answersCors = raw.some((name) => /^access-control-allow-origin$/i.test(name));
        if (way.cors !== "app" && isPreflight(request) && !answersCors)
          throw new AgentVmError("preview_failed", "The app does not answer preflights");
        return responseHeaders(raw, way, prefix, request.headers.origin);
      },
      fail: async (error) => {
        const isRepeatable = !hasBody(framing) && !response.headersSent && !response.destroyed;
        const isStale = outgoing.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET";
        if (isRepeatable && isStale && !way.ended.aborted) void proxyRequest(visit, way);
        else if (isRepeatable && (await mayRepeat(way, error))) void proxyRequest(visit, once(way));
        else refuse(response, badGateway(way.port, error));
      },
    }),
  );
}

/** Forwards a WebSocket to a port of the VM. Bytes pass unchanged after the app has accepted the upgrade. */
export async function proxyUpgrade(visit: PreviewUpgrade, way: PreviewWay): Promise<void> {
  const { socket, head, prefix, request } = visit;
  if (request.method !== "GET" || hasBody(framingOf(request)))
    return refuseUpgrade(socket, badRequest(request));
  const added: Framing = { connection: ["Upgrade"], upgrade: ["websocket"] };
  const outgoing = outgoingOf(visit, way, added, socket);
  await exchange(outgoing, socket, way.ended, (end) => {
    socket.on("error", end);
    relayUpgrade(socket, head, outgoing, {
      headersOf: (raw) => responseHeaders(raw, way, prefix, request.headers.origin),
      answered: (status) => way.answered?.(status),
      fail: async (error) => {
        if (!socket.destroyed && (await mayRepeat(way, error))) void proxyUpgrade(visit, once(way));
        else refuseUpgrade(socket, badGateway(way.port, error));
      },
    });
  });
}

/** Resolves when the browser's side has closed or the preview ends, which cuts both sides. */
function exchange(
  outgoing: ClientRequest,
  browser: ServerResponse | Duplex,
  ended: AbortSignal,
  begin: (end: () => void) => void,
): Promise<void> {
  return new Promise((resolve) => {
    // An answer that waits for an earlier answer of its connection does not close at once in Node 22.
    const end = () => {
      ended.removeEventListener("abort", end);
      outgoing.destroy();
      browser.destroy();
      resolve();
    };
    ended.addEventListener("abort", end, { once: true });
    browser.once("close", end);
    begin(end);
    // A browser that left while the VM woke has emitted its `close` already.
    if (ended.aborted || browser.destroyed) end();
  });
}

function outgoingOf(
  { request, path, prefix }: PreviewVisit,
  { port, host, connect, ended }: PreviewWay,
  added: Framing,
  browser: ServerResponse | Duplex,
  kept?: VmAgent,
): ClientRequest {
  // A request that waits for a service must not outlive its browser. `exchange` ends the request itself.
  const gone = new AbortController();
  const { signal } = gone;
  const end = () => {
    ended.removeEventListener("abort", end);
    gone.abort(GONE);
  };
  ended.addEventListener("abort", end, { once: true });
  browser.once("close", end);
  if (browser.destroyed || ended.aborted) end();
  const headers = requestHeaders({
    rawHeaders: request.rawHeaders,
    port,
    host,
    prefix,
    remoteAddress: request.socket.remoteAddress,
    isEncrypted: "encrypted" in request.socket,
  });
  return startRequest({
    ...(kept
      ? { agent: kept, connectSignal: signal }
      : { createConnection: connectWith((to) => connect(to, signal)) }),
    port,
    path,
    method: request.method,
    // Node's agent takes no list for this header.
    headers: { ...headers, ...added, host: headers.host?.[0] },
    setHost: false,
  });
}

/** Returns whether a page asks if it may send a request. If an app does not know CORS, the page gets the answer of `refuse`. */
function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === "OPTIONS" && headers.origin !== undefined;
}

/** A plain request has failed because the app speaks TLS, which the next request does too. */
export async function mayRepeat({ port, ended, speaksTls }: PreviewWay, error: unknown): Promise<boolean> {
  return !ended.aborted && !(error instanceof AgentVmError) && (await speaksTls(port));
}

/** The way of a request that is repeated already. */
export function once(way: PreviewWay): PreviewWay {
  return { ...way, speaksTls: async () => false };
}

function badGateway(port: number, error: Error): AgentVmError {
  const { message } = error;
  return (
    http2Only(port, error) ??
    new AgentVmError("preview_failed", `Port ${port} of the VM did not answer: ${message}`, { port })
  );
}
