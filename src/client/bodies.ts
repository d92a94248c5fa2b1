import { connectionLost } from "../api/errors.ts";
import { EndSignal } from "../base/end-signal.ts";
import { Retries } from "./retries.ts";
import type { RawHandle } from "./rivet/raw.ts";
import { answerError, refusalIn } from "./server-request.ts";
import type { Invoke } from "./transfer.ts";

/** Sends an HTTP request to the actor of a VM. @param path path and query below the actor */
export type Ask = (path: string, init: RequestInit) => Promise<Response>;

/** The two ways to a VM: calls, and HTTP bodies. */
export interface Ways {
  invoke: Invoke;
  ask: Ask;
  /** Asks the VM's actor for bytes. */
  download: RawHandle["download"];
  /** Aborts when the client, or this connection, is disposed: work that is under way ends. */
  readonly disposal: AbortSignal;
}

/** Bytes that one step of a request's body has. */
const STEP_BYTES = 1024 * 1024;

/** Bytes after which a body that is a stream lets the event loop turn. */
const TURN_BYTES = 4 * 1024 * 1024;

/** The body of a request. `end` ends it if it is a stream that has not been sent: nobody waits for it. */
export interface EndableBody {
  init: RequestInit;
  end(): void;
  /** The error with which the stream itself has failed, if it has. */
  failure?(): { reason: unknown } | undefined;
}

/** Whether `fetch` sends a stream while it is made. Browsers do so over HTTP/2 only. */
const SENDS_STREAMS =
  (globalThis as { process?: { versions?: { node?: string } } }).process?.versions?.node !== undefined;

/**
 * Makes the body of a request. `fetch` copies bytes several times, and a stream of their parts not at all.
 *
 * @param onSent called with the bytes that the body has handed over so far, if the body is sent in steps
 */
export function bodyOf(data: Uint8Array, onSent: (sent: number) => void = () => undefined): RequestInit {
  if (!SENDS_STREAMS || data.byteLength <= STEP_BYTES) return { body: data as Uint8Array<ArrayBuffer> };
  let sent = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        onSent(sent);
        const step = data.subarray(sent, sent + STEP_BYTES);
        sent += step.byteLength;
        controller.enqueue(step);
        if (sent >= data.byteLength) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  return streamBody(stream);
}

/** Makes the body of a request out of a stream. A browser sends it when it is complete. */
export async function bodyOfStream(
  source: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<EndableBody> {
  if (SENDS_STREAMS) return endable(source, signal);
  return { init: { body: await new Response(source).blob() }, end: () => undefined };
}

/**
 * Node's `fetch` reads a stream to its end although its request has failed or has been answered (undici 7). It never lets the
 * event loop turn if the stream does not. So this one ends when it is told to, and lets the event loop turn.
 */
function endable(source: ReadableStream<Uint8Array>, signal: AbortSignal | undefined): EndableBody {
  const reader = source.getReader();
  let isEnded = false;
  let failure: { reason: unknown } | undefined;
  let sinceTurn = 0;
  const end = () => {
    if (isEnded) return;
    isEnded = true;
    signal?.removeEventListener("abort", end);
    void reader.cancel(signal?.reason).catch(() => undefined);
  };
  signal?.addEventListener("abort", end, { once: true });
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (sinceTurn >= TURN_BYTES) {
          sinceTurn = 0;
          await new Promise((resolve) => setTimeout(resolve));
        }
        const next = await reader.read().catch((reason: unknown) => {
          failure = { reason };
          throw reason;
        });
        if (next.done) {
          end();
          controller.close();
          return;
        }
        sinceTurn += next.value.byteLength;
        controller.enqueue(next.value);
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
  return { init: streamBody(stream), end, failure: () => failure };
}

function streamBody(stream: ReadableStream<Uint8Array>): RequestInit {
  return { body: stream, duplex: "half" } as RequestInit;
}

/** A transfer whose bytes travel as HTTP bodies. */
interface Transfer {
  transferId: string;
  signal: AbortSignal | undefined;
}

/**
 * Reads the bytes of a transfer. After a broken connection it goes on where it was.
 *
 * @param from offset of the first byte
 * @param end offset of the end. Without it an empty body is the end
 * @param whole room for the bytes from offset 0 to the end. The pieces may be parts of it
 */
export async function* readBodies(
  ways: Ways,
  { transferId, signal }: Transfer,
  from: number,
  end?: number,
  whole?: Uint8Array,
): AsyncGenerator<Uint8Array, void, void> {
  const { download } = ways;
  const retries = new Retries(ways, signal);
  let offset = from;
  let isResumed = false;
  while (end === undefined || offset < end) {
    const began = offset;
    const ends = new EndSignal([signal, ways.disposal]);
    try {
      const query = `offset=${offset}${isResumed ? "&resumed=1" : ""}`;
      const { status, length, pieces } = await download(`bytes/transfer/${transferId}?${query}`, {
        signal: ends.signal,
        room: whole?.subarray(offset),
      });
      if (status !== 200) throw refusalIn(status, await textOf(pieces));
      for await (const piece of pieces) {
        offset += piece.byteLength;
        retries.moved();
        yield piece;
      }
      if (offset - began !== length) throw connectionLost("The connection to the server broke");
      if (length === 0) return;
      isResumed = false;
    } catch (error) {
      await retries.after(error);
      isResumed = true;
    } finally {
      ends.release();
    }
  }
}

/**
 * Sends a piece of a transfer. After a broken connection it goes on behind the last byte that has arrived.
 *
 * @param offset offset of the piece
 * @param onSent called with the bytes of the piece that have left so far
 */
export async function writeBody(
  ways: Ways,
  { transferId, signal }: Transfer,
  offset: number,
  data: Uint8Array,
  onSent: (sent: number) => void = () => undefined,
): Promise<void> {
  const { ask, invoke } = ways;
  const retries = new Retries(ways, signal);
  for (let done = 0, isSure = true; ; ) {
    try {
      if (!isSure) {
        const arrived = Number(await invoke("transferOffset", [transferId], signal)) - offset;
        if (arrived > done) retries.moved();
        done = Math.min(Math.max(arrived, 0), data.byteLength);
      }
      const body = bodyOf(data.subarray(done), (sent) => onSent(done + sent));
      const url = `bytes/transfer/${transferId}?offset=${offset + done}`;
      await new EndSignal([signal, ways.disposal]).during(async (ends) => {
        const response = await asked(ask, url, { ...body, method: "PUT", signal: ends });
        await response.arrayBuffer();
      });
      return onSent(data.byteLength);
    } catch (error) {
      await retries.after(error);
      isSure = false;
    }
  }
}

/** Sends a request. @throws AgentVmError the error that the answer carries */
export async function asked(ask: Ask, path: string, init: RequestInit): Promise<Response> {
  const response = await ask(path, init);
  if (response.ok) return response;
  throw await answerError(response);
}

async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of pieces) text += decoder.decode(piece, { stream: true });
  return text;
}
