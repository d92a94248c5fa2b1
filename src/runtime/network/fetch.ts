import {
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request as startRequest,
} from "node:http";
import { AgentVmError, responseTooLarge } from "../../api/errors.ts";
import { FETCH_TIMEOUT_MS, MAX_FETCH_BODY_BYTES } from "../../api/limits.ts";
import type { VmFetchOptions, VmFetchResponse } from "../../api/types.ts";
import { type Connect, connectWith, type VmAgent } from "./agent.ts";
import { requestOptions } from "./target.ts";

/** Methods that may be sent twice: over a kept connection, which may end at the very moment it is used. */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);

/** Room for the head of a response within a message. */
const HEAD_BYTES = 64 * 1024;

export interface FetchSettings {
  agent: VmAgent;
  connect: Connect;
  /** What a result may come to. */
  maxResultBytes: number;
  signal?: AbortSignal | undefined;
}

/** One HTTP request to a port inside, and its whole response. Redirects are not followed. */
export async function fetchPort(
  port: number,
  pathOrUrl: string,
  options: VmFetchOptions,
  settings: FetchSettings,
): Promise<VmFetchResponse> {
  const { timeoutMs = FETCH_TIMEOUT_MS } = options;
  const { request, body } = requestOptions(port, pathOrUrl, options);
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = settings.signal === undefined ? deadline : AbortSignal.any([deadline, settings.signal]);
  const isRepeatable = REPEATABLE.has(request.method ?? "");
  const way: RequestOptions = isRepeatable
    ? { agent: settings.agent }
    : { createConnection: connectWith(settings.connect) };
  for (;;) {
    const outgoing = startRequest({ ...request, ...way, signal });
    try {
      const response = await answer(outgoing, body, signal);
      return await collect(response, settings.maxResultBytes);
    } catch (error) {
      outgoing.destroy();
      const { code } = error as NodeJS.ErrnoException;
      if (isRepeatable && outgoing.reusedSocket && code === "ECONNRESET" && !signal.aborted) continue;
      if (deadline.aborted) throw timedOut(port, timeoutMs);
      if (settings.signal?.aborted) throw aborted(settings.signal, port);
      throw error instanceof AgentVmError ? error : fetchFailed(port, error as Error);
    }
  }
}

function answer(
  request: ClientRequest,
  body: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on("error", reject);
    // Before it has a connection, a request that is given up does not say so.
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    request.once("response", resolve);
    request.once("upgrade", (_response, socket) => {
      socket.destroy();
      reject(new Error("the server changed to another protocol"));
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

/** Names in lower case, as fetch has them; repeats stay. */
export function headerPairs(raw: readonly string[]): [string, string][] {
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

/** By the end of the VM, or by whoever asked. */
function aborted({ reason }: AbortSignal, port: number): Error {
  if (reason instanceof AgentVmError) return reason;
  return new AgentVmError("fetch_aborted", `The request to port ${port} was given up`, { port });
}

function timedOut(port: number, timeoutMs: number): AgentVmError {
  return new AgentVmError("fetch_timeout", `Port ${port} did not answer within ${timeoutMs} ms`, {
    port,
    timeoutMs,
  });
}

function fetchFailed(port: number, error: Error): AgentVmError {
  const { code } = error as NodeJS.ErrnoException;
  return new AgentVmError(
    "fetch_failed",
    `Port ${port} gave no whole HTTP response: ${error.message}`,
    { port, ...(code === undefined ? {} : { reason: code }) },
    { cause: error },
  );
}
