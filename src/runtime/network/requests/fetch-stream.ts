import { type ClientRequest, type IncomingMessage, request as startRequest } from "node:http";
import type { Readable } from "node:stream";
import { AgentVmError } from "../../../api/errors.ts";
import type { VmFetchOptions } from "../../../api/methods/network.ts";
import { EndSignal } from "../../../base/end-signal.ts";
import { FETCH_TIMEOUT_MS } from "../limits.ts";
import { aborted, answer, fetchFailed, headerPairs, timedOut } from "./answers.ts";
import type { VmAgent, WithConnectSignal } from "./http-agent.ts";
import { requestOptions } from "./http-request.ts";

/** Body of a request that arrives while it is sent on. */
export interface StreamedBody {
  stream: Readable;
  /** Bytes of the whole body; `undefined` if that is not known yet. */
  length: number | undefined;
}

/** Response of a port of the VM, whose body is under way. */
export interface StreamedResponse {
  status: number;
  statusText: string;
  /** Headers as pairs: names in lower case, repeated names kept. */
  headers: [string, string][];
  body: IncomingMessage;
}

interface StreamDeps {
  /** Keeps connections, for requests that may be repeated. */
  kept: VmAgent;
  /** Opens connections for all other requests. */
  fresh: VmAgent;
  /** Whether a port has just turned out to speak TLS. Requests to it then use TLS. */
  speaksTls(port: number, signal: AbortSignal): Promise<boolean>;
  /** Ends the request, also after the response has begun. */
  signal: AbortSignal;
}

/** Methods that may be repeated when a kept connection has closed just as the request started. */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS"]);

/** Sends a request to a port of the VM. Resolves when the head of the response has arrived. */
export async function fetchStream(
  port: number,
  pathOrUrl: string,
  options: VmFetchOptions,
  body: StreamedBody | undefined,
  { kept, fresh, speaksTls, signal }: StreamDeps,
): Promise<StreamedResponse> {
  const { timeoutMs = FETCH_TIMEOUT_MS } = options;
  const { request } = requestOptions(port, pathOrUrl, options);
  const sent = request.method === "GET" || request.method === "HEAD" ? undefined : body;
  if (sent?.length !== undefined)
    request.headers = { ...(request.headers as Record<string, string>), "content-length": sent.length };
  const isRepeatable = sent === undefined && REPEATABLE.has(request.method ?? "");
  const agent = isRepeatable ? kept : fresh;
  const end = new EndSignal([signal], () => aborted(signal, port));
  const { signal: ends } = end.after(timeoutMs, () => timedOut(port, timeoutMs));
  const way: WithConnectSignal = { connectSignal: ends };
  try {
    for (let isTlsKnown = false; ; ) {
      const outgoing = startRequest({ ...request, agent, signal, ...way });
      try {
        const response = await answer(outgoing, ends, () => sendBody(outgoing, sent));
        const { statusCode = 0, statusMessage = "", rawHeaders } = response;
        return {
          status: statusCode,
          statusText: statusMessage,
          headers: headerPairs(rawHeaders),
          body: response,
        };
      } catch (error) {
        outgoing.destroy();
        const { code } = error as NodeJS.ErrnoException;
        if (ends.aborted) throw ends.reason;
        if (isRepeatable && outgoing.reusedSocket && code === "ECONNRESET") continue;
        if (error instanceof AgentVmError) throw error;
        if (sent === undefined && !isTlsKnown && (await speaksTls(port, ends))) {
          isTlsKnown = true;
          continue;
        }
        throw fetchFailed(port, error as Error);
      }
    }
  } finally {
    end.release();
  }
}

/** Sends the body of a request, if it has one, and ends it. */
function sendBody(request: ClientRequest, body: StreamedBody | undefined): void {
  if (body === undefined) {
    request.end();
    return;
  }
  // A body that breaks off must not look complete.
  body.stream.once("error", () => request.destroy());
  body.stream.once("close", () => {
    if (!body.stream.readableEnded) request.destroy();
  });
  body.stream.pipe(request);
}
