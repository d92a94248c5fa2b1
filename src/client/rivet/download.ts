import { unreachable } from "./errors.ts";
import { downloadInto, socketsOf } from "./socket-download.ts";

/** The answer to a request, whose body arrives in pieces. */
export interface Download {
  status: number;
  /** Bytes of the body, as the server has announced them; `NaN` if it has not. */
  length: number;
  /** The pieces of the body. A reader that stops early ends the request. */
  pieces: AsyncIterable<Uint8Array>;
}

/** A request for a body. */
export interface DownloadRequest {
  url: string;
  headers: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Room for the whole body. Its pieces may be parts of the room, or have memory of their own. @default none */
  room?: Uint8Array | undefined;
}

/** Asks for a body. With room for it, Node receives the bytes there, in half the time of `fetch`. */
export async function download(request: DownloadRequest): Promise<Download> {
  const { room } = request;
  const net = room && socketsOf(request.url);
  return (net && (await downloadInto(net, { ...request, room }))) ?? (await fetched(request));
}

async function fetched({ url, headers, signal }: DownloadRequest): Promise<Download> {
  let response: Response;
  try {
    response = await fetch(url, { headers, signal: signal ?? null });
  } catch (error) {
    throw signal?.aborted ? signal.reason : unreachable(url, error);
  }
  const length = response.headers.get("content-length");
  return {
    status: response.status,
    length: length === null ? Number.NaN : Number(length),
    pieces: bytesOf(response),
  };
}

/** Iterates a response's body, and cancels it if the reader stops. Some browsers have no async iterator on streams. */
async function* bytesOf(response: Response): AsyncGenerator<Uint8Array, void, void> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}
