import { type IncomingMessage, type RequestOptions, request as startRequest } from "node:http";
import { AgentVmError, limitExceeded, responseTooLarge } from "../../../api/errors.ts";
import type { VmFetchOptions, VmFetchResponse } from "../../../api/methods/network.ts";
import { BodyCollector } from "../../../base/body-collector.ts";
import type { ByteShare } from "../../../base/byte-share.ts";
import { EndSignal } from "../../../base/end-signal.ts";
import { FETCH_TIMEOUT_MS, MAX_FETCH_BODY_BYTES, MAX_FETCHES_BYTES } from "../limits.ts";
import { aborted, answer, fetchFailed, headerPairs, timedOut } from "./answers.ts";
import { type Connect, connectWith, type VmAgent, type WithConnectSignal } from "./http-agent.ts";
import { requestOptions } from "./http-request.ts";

/** Methods that may be repeated. They use kept connections, which the other side may close just as a request starts. */
const REPEATABLE = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** Bytes of a message that are reserved for the head of a response. */
const HEAD_BYTES = 64 * 1024;

const STREAM_HINT = "Fetch it with { stream: true }, or through a preview URL (createSignedPreviewUrl).";

/** Longest page that tells a client to speak TLS. */
const MAX_HINT_BYTES = 4096;

interface FetchDeps {
  agent: VmAgent;
  connect: Connect;
  /** Whether a port has just turned out to speak TLS. Requests to it then use TLS. */
  speaksTls(port: number, signal: AbortSignal): Promise<boolean>;
  /** Maximum bytes of a body: see `maximumBody`. */
  maxBodyBytes: number;
  /** Memory for the bodies of the VM's requests and responses. */
  memory: ByteShare;
  /** Each of them ends the request. */
  signals: readonly (AbortSignal | undefined)[];
}

/** Bytes of the largest body of a response. @param maxResultBytes maximum bytes of a result */
export function maximumBody(maxResultBytes: number): number {
  return Math.min(maxResultBytes - HEAD_BYTES, MAX_FETCH_BODY_BYTES);
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
  const held = new HeldBytes(deps.memory);
  const end = new EndSignal(deps.signals, (signal) => aborted(signal, port));
  const { signal } = end.after(timeoutMs, () => timedOut(port, timeoutMs));
  const isRepeatable = REPEATABLE.has(request.method ?? "");
  const way: RequestOptions & WithConnectSignal = isRepeatable
    ? { agent: deps.agent, connectSignal: signal }
    : { createConnection: connectWith(deps.connect), connectSignal: signal };
  let isRepeated = false;
  const isNews = async () => {
    if (isRepeated || signal.aborted) return false;
    isRepeated = await deps.speaksTls(port, signal);
    return isRepeated;
  };
  try {
    for (;;) {
      held.release();
      held.add(body?.byteLength ?? 0);
      const outgoing = startRequest({ ...request, ...way });
      try {
        const response = await collect(await answer(outgoing, signal, () => outgoing.end(body)), {
          maximum: deps.maxBodyBytes,
          held,
          signal,
        });
        if (!asksForTls(response) || !(await isNews())) return response;
      } catch (error) {
        outgoing.destroy();
        if (signal.aborted) throw signal.reason;
        const { code } = error as NodeJS.ErrnoException;
        if (isRepeatable && outgoing.reusedSocket && code === "ECONNRESET") continue;
        if (error instanceof AgentVmError) throw error;
        if (await isNews()) continue;
        throw fetchFailed(port, error as Error);
      }
    }
  } finally {
    held.release();
    end.release();
  }
}

/** Bytes of one request and of its responses. */
class HeldBytes {
  readonly #memory: ByteShare;
  #bytes = 0;

  constructor(memory: ByteShare) {
    this.#memory = memory;
  }

  /** @throws AgentVmError `limit_exceeded` */
  add(bytes: number): void {
    if (!this.#memory.take(bytes))
      throw limitExceeded(
        { MAX_FETCHES_BYTES },
        "Too many bytes of requests to the VM are under way",
        STREAM_HINT,
      );
    this.#bytes += bytes;
  }

  release(): void {
    this.#memory.give(this.#bytes);
    this.#bytes = 0;
  }
}

/** Go, nginx and Apache answer a plain request to their TLS port with such a page. */
function asksForTls({ status, body }: VmFetchResponse): boolean {
  return (
    status === 400 && body.byteLength <= MAX_HINT_BYTES && /https|ssl/i.test(Buffer.from(body).toString())
  );
}

/** Reads a response to its end. Events take a third of the time of an iterator, which small responses notice. */
function collect(
  response: IncomingMessage,
  { maximum, held, signal }: { maximum: number; held: HeldBytes; signal: AbortSignal },
): Promise<VmFetchResponse> {
  const body = new BodyCollector(maximum);
  return new Promise((resolve, reject) => {
    response.on("data", (chunk: Buffer) => {
      try {
        held.add(chunk.byteLength);
      } catch (error) {
        reject(error as Error);
        return;
      }
      if (!body.add(chunk)) reject(tooLarge(response, body.length + chunk.byteLength, maximum));
    });
    response.once("end", () => {
      const bytes = body.take();
      resolve({
        status: response.statusCode ?? 0,
        statusText: response.statusMessage ?? "",
        headers: headerPairs(response.rawHeaders),
        body: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      });
    });
    response.on("error", reject);
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    if (signal.aborted) reject(signal.reason as Error);
  });
}

function tooLarge(response: IncomingMessage, size: number, maximum: number): AgentVmError {
  const announced = Number(response.headers["content-length"]);
  const bytes = announced > size ? announced : size;
  return responseTooLarge("vmFetch", bytes, maximum, STREAM_HINT);
}
