import {
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request as startRequest,
} from "node:http";
import { AgentVmError, responseTooLarge } from "../../../api/errors.ts";
import type { VmFetchOptions, VmFetchResponse } from "../../../api/methods/network.ts";
import { FETCH_TIMEOUT_MS, MAX_FETCH_BODY_BYTES } from "../limits.ts";
import { boundInterim } from "./framing.ts";
import { type Connect, connectWith, type VmAgent } from "./http-agent.ts";
import { requestOptions } from "./http-request.ts";
import { http2Only } from "./http2-only.ts";

/** Methods that may be repeated. They use kept connections, which the other side may close just as a request starts. */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** Bytes of a message that are reserved for the head of a response. */
const HEAD_BYTES = 64 * 1024;

/** Longest page that tells a client to speak TLS. */
const MAX_HINT_BYTES = 4096;

interface FetchDeps {
  agent: VmAgent;
  connect: Connect;
  /** Whether a port has just turned out to speak TLS. Requests to it then use TLS. */
  speaksTls(port: number, signal: AbortSignal): Promise<boolean>;
  /** Maximum bytes of a result. */
  maxResultBytes: number;
  signal?: AbortSignal | undefined;
}

/** Sends an HTTP request to a port of the VM and returns its complete response. Does not follow redirects. */
export async function fetchPort(
  port: number,
  pathOrUrl: string,
  options: VmFetchOptions,
  deps: FetchDeps,
): Promise<VmFetchResponse> {
  const { timeoutMs = FETCH_TIMEOUT_MS } = options;
  const { request, body } = requestOptions(port, pathOrUrl, options);
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = deps.signal === undefined ? deadline : AbortSignal.any([deadline, deps.signal]);
  const isRepeatable = REPEATABLE.has(request.method ?? "");
  const way: RequestOptions = isRepeatable
    ? { agent: deps.agent }
    : { createConnection: connectWith(deps.connect) };
  let isRepeated = false;
  const isNews = async () => {
    if (isRepeated || signal.aborted) return false;
    isRepeated = await deps.speaksTls(port, signal);
    return isRepeated;
  };
  for (;;) {
    const outgoing = startRequest({ ...request, ...way, signal });
    try {
      const response = await collect(await answer(outgoing, body, signal), deps.maxResultBytes);
      if (!asksForTls(response) || !(await isNews())) return response;
    } catch (error) {
      outgoing.destroy();
      const { code } = error as NodeJS.ErrnoException;
      if (isRepeatable && outgoing.reusedSocket && code === "ECONNRESET" && !signal.aborted) continue;
      if (deadline.aborted) throw timedOut(port, timeoutMs);
      if (deps.signal?.aborted) throw aborted(deps.signal, port);
      if (error instanceof AgentVmError) throw error;
      if (await isNews()) continue;
      throw fetchFailed(port, error as Error);
    }
  }
}

/** Go, nginx and Apache answer a plain request to their TLS port with such a page. */
function asksForTls({ status, body }: VmFetchResponse): boolean {
  return (
    status === 400 && body.byteLength <= MAX_HINT_BYTES && /https|ssl/i.test(Buffer.from(body).toString())
  );
}

function answer(
  request: ClientRequest,
  body: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    boundInterim(request);
    request.on("error", reject);
    // Node emits no error for a request that is aborted before it has a connection.
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    request.once("response", resolve);
    request.once("upgrade", (_response, socket) => {
      socket.destroy();
      reject(new Error("the server switched to another protocol"));
    });
    request.end(body);
  });
}

async function collect(response: IncomingMessage, maxResultBytes: number): Promise<VmFetchResponse> {
  const maximum = Math.min(maxResultBytes - HEAD_BYTES, MAX_FETCH_BODY_BYTES);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > maximum) throw tooLarge(response, size, maximum);
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks, size);
  return {
    status: response.statusCode ?? 0,
    statusText: response.statusMessage ?? "",
    headers: headerPairs(response.rawHeaders),
    body: new Uint8Array(body.buffer, body.byteOffset, body.byteLength),
  };
}

/** Returns header pairs with lower-case names like fetch, and keeps repeated headers. */
function headerPairs(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index < raw.length; index += 2) {
    pairs.push([(raw[index] ?? "").toLowerCase(), raw[index + 1] ?? ""]);
  }
  return pairs;
}

function tooLarge(response: IncomingMessage, size: number, maximum: number): AgentVmError {
  const announced = Number(response.headers["content-length"]);
  const bytes = announced > size ? announced : size;
  const hint = "Fetch it through a preview URL (createSignedPreviewUrl), which streams.";
  return responseTooLarge("vmFetch", bytes, maximum, hint);
}

/** Returns the error of an aborted request: the VM stopped, or the caller aborted. */
function aborted({ reason }: AbortSignal, port: number): Error {
  if (reason instanceof AgentVmError) return reason;
  return new AgentVmError("fetch_aborted", `The request to port ${port} was cancelled`, { port });
}

function timedOut(port: number, timeoutMs: number): AgentVmError {
  return new AgentVmError("fetch_timeout", `Port ${port} did not answer within ${timeoutMs} ms`, {
    port,
    timeoutMs,
  });
}

function fetchFailed(port: number, error: Error): AgentVmError {
  const refusal = http2Only(port, error);
  if (refusal !== undefined) return refusal;
  const { code } = error as NodeJS.ErrnoException;
  return new AgentVmError(
    "fetch_failed",
    `Port ${port} did not send a complete HTTP response: ${error.message}`,
    { port, ...(code === undefined ? {} : { reason: code }) },
    { cause: error },
  );
}
