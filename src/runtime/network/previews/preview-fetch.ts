import { type IncomingMessage, request as startRequest } from "node:http";
import { Readable } from "node:stream";
import { AgentVmError, responseTooLarge } from "../../../api/errors.ts";
import { EndSignal } from "../../../base/end-signal.ts";
import { boundInterim, type Framing } from "../requests/framing.ts";
import { connectWith } from "../requests/http-agent.ts";
import { requestHeaders, responseHeaders } from "./preview-headers.ts";
import { mayRepeat, once, type PreviewWay } from "./preview-proxy.ts";
import { refusalResponse } from "./refusals.ts";

/** A browser's request to a preview as a `Request` object. */
export interface PreviewFetch {
  path: string;
  /** Path of the preview below its actor's gateway URL. */
  prefix: string;
  request: Request;
  /** Maximum bytes of the response body, if the transport cannot stream it. @default the body streams, without a limit */
  maxBodyBytes?: number | undefined;
  /** Headers for the app, in place of the request's. */
  rawHeaders?: readonly string[];
  /** Aborts when the visitor's access ends. @default it does not end */
  over?: AbortSignal;
  /** Returns whether an `Authorization` header is for the server, and not for the app. @default none is */
  isOurs?: ((authorization: string) => boolean) | undefined;
}

/** Statuses whose responses have no body. */
const EMPTY = new Set([204, 205, 304]);

/** Forwards a request to a port of the VM. Both bodies stream unless `maxBodyBytes` is given. */
export async function proxyFetch(visit: PreviewFetch, way: PreviewWay): Promise<Response> {
  const { path, prefix, request, maxBodyBytes } = visit;
  const length = bodyLength(request);
  const framing: Framing = {};
  if (length !== undefined) framing["content-length"] = [String(length)];
  else if (request.body !== null) framing["transfer-encoding"] = ["chunked"];
  const end = new EndSignal([way.ended, visit.over, request.signal]);
  const outgoing = startRequest({
    createConnection: connectWith(way.connect),
    port: way.port,
    path,
    method: request.method,
    setHost: false,
    signal: end.signal,
    headers: {
      ...requestHeaders({
        rawHeaders: visit.rawHeaders ?? [...request.headers].flat(),
        port: way.port,
        host: way.host,
        prefix,
        remoteAddress: undefined,
        isEncrypted: false,
      }),
      ...framing,
    },
  });
  outgoing.once("close", () => end.release());
  boundInterim(outgoing);
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once("response", resolve).once("error", reject);
      if (request.body === null) outgoing.end();
      else Readable.from(exactly(request.body, length)).on("error", reject).pipe(outgoing);
    });
    const headers = new Headers();
    const raw = responseHeaders(answer.rawHeaders, way, prefix, request.headers.get("origin") ?? undefined);
    for (let index = 0; index < raw.length; index += 2)
      headers.append(raw[index] ?? "", raw[index + 1] ?? "");
    const status = answer.statusCode ?? 502;
    if (EMPTY.has(status))
      return new Response(null, { status, statusText: answer.statusMessage ?? "", headers });
    const body =
      maxBodyBytes === undefined
        ? (Readable.toWeb(answer) as ReadableStream<Uint8Array>)
        : await collect(answer, request.method === "HEAD" ? Number.POSITIVE_INFINITY : maxBodyBytes);
    return new Response(body, { status, statusText: answer.statusMessage ?? "", headers });
  } catch (error) {
    outgoing.destroy();
    end.release();
    if (error instanceof AgentVmError && error.code === "response_too_large") return refusalResponse(error);
    const isRepeatable = request.body === null && !request.signal.aborted;
    if (isRepeatable && (await mayRepeat(way, error))) return await proxyFetch(visit, once(way));
    const { message } = error as Error;
    return refusalResponse(
      new AgentVmError("preview_failed", `Port ${way.port} of the VM did not answer: ${message}`),
    );
  }
}

/** Returns the length that a request states for its body; `undefined` if it states none. */
function bodyLength({ body, headers }: Request): number | undefined {
  const stated = headers.get("content-length") ?? "";
  return body !== null && /^\d{1,15}$/.test(stated) ? Number(stated) : undefined;
}

/** Yields a body and fails at the first byte above its length, which the app would read as another request. */
async function* exactly(body: ReadableStream<Uint8Array>, length: number | undefined) {
  let size = 0;
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (length !== undefined && size > length) break;
    yield chunk;
  }
  if (length !== undefined && size !== length) throw new Error("the body differs from its Content-Length");
}

async function collect(answer: IncomingMessage, maximum: number): Promise<Blob> {
  const announced = Number(answer.headers["content-length"] ?? 0);
  const chunks: Buffer<ArrayBuffer>[] = [];
  let size = 0;
  const check = (bytes: number) => {
    if (bytes > maximum)
      throw responseTooLarge("The preview", bytes, maximum, "Responses do not stream on this transport.");
  };
  check(announced);
  for await (const chunk of answer as AsyncIterable<Buffer<ArrayBuffer>>) {
    size += chunk.byteLength;
    check(size);
    chunks.push(chunk);
  }
  return new Blob(chunks);
}
