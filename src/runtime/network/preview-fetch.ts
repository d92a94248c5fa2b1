import { type IncomingMessage, request as startRequest } from "node:http";
import { Readable } from "node:stream";
import { AgentVmError, responseTooLarge } from "../../api/errors.ts";
import { connectWith } from "./agent.ts";
import { requestHeaders, responseHeaders } from "./preview-headers.ts";
import type { PreviewWay } from "./preview-proxy.ts";

/** A browser's request as an object. */
export interface PreviewFetch {
  path: string;
  /** Path of the preview below its actor's gateway URL. */
  prefix: string;
  request: Request;
  /** Largest body of an answer, for a way that collects it before anybody gets it. @default none, it streams */
  maxBodyBytes?: number | undefined;
}

/** Statuses that go without a body. */
const EMPTY = new Set([204, 205, 304]);

/** Passes such a request on to a port inside; both bodies stream. */
export async function proxyFetch(
  { path, prefix, request, maxBodyBytes }: PreviewFetch,
  way: PreviewWay,
): Promise<Response> {
  const outgoing = startRequest({
    createConnection: connectWith(way.connect),
    port: way.port,
    path,
    method: request.method,
    setHost: false,
    signal: AbortSignal.any([way.ended, request.signal]),
    headers: requestHeaders({
      rawHeaders: [...request.headers].flat(),
      port: way.port,
      prefix,
      remoteAddress: undefined,
      isEncrypted: false,
    }),
  });
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once("response", resolve).once("error", reject);
      if (request.body === null) outgoing.end();
      else
        Readable.fromWeb(request.body as Parameters<typeof Readable.fromWeb>[0])
          .on("error", reject)
          .pipe(outgoing);
    });
    const headers = new Headers();
    const raw = responseHeaders(answer.rawHeaders, way.port, prefix);
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
    if (error instanceof AgentVmError && error.code === "response_too_large") return refusalResponse(error);
    const { message } = error as Error;
    return refusalResponse(
      new AgentVmError("preview_failed", `Port ${way.port} of the VM did not answer: ${message}`),
    );
  }
}

async function collect(answer: IncomingMessage, maximum: number): Promise<Blob> {
  const announced = Number(answer.headers["content-length"] ?? 0);
  const chunks: Buffer<ArrayBuffer>[] = [];
  let size = 0;
  const check = (bytes: number) => {
    if (bytes > maximum) throw responseTooLarge("The preview", bytes, maximum, "It does not stream here.");
  };
  check(announced);
  for await (const chunk of answer as AsyncIterable<Buffer<ArrayBuffer>>) {
    size += chunk.byteLength;
    check(size);
    chunks.push(chunk);
  }
  return new Blob(chunks);
}

export function refusalResponse({ status, code, message, metadata }: AgentVmError): Response {
  const headers = { "access-control-allow-origin": "*" };
  return Response.json({ code, message, metadata }, { status, headers });
}
