import { AgentVmError, connectionLost, invalidArgument } from "../api/errors.ts";
import { FETCH_HEADER, type FetchHead, HEAD_LENGTH_BYTES, MAX_HEAD_BYTES } from "../api/fetch-head.ts";
import type { VmFetchOptions } from "../api/methods/network.ts";
import { joined } from "../base/bytes.ts";
import { EndSignal } from "../base/end-signal.ts";
import { parseJson } from "../base/json.ts";
import { asked, bodyOf, bodyOfStream, type EndableBody, type Ways } from "./bodies.ts";
import { checkUnlocked } from "./pieces.ts";
import { toAgentVmError } from "./rivet/errors.ts";
import { toBase64 } from "./rivet/values.ts";
import type { VmFetchStreamOptions } from "./transfer-types.ts";

/** Statuses whose response has no body. */
const BODILESS = new Set([204, 205, 304]);

/** Sends a request into a VM. Resolves when the head of the response has arrived. */
export async function fetchStream(
  { ask, disposal }: Pick<Ways, "ask" | "disposal">,
  port: number,
  path: string,
  { body, ...options }: Omit<VmFetchStreamOptions, "stream">,
  signal: AbortSignal | undefined,
): Promise<Response> {
  signal?.throwIfAborted();
  const { init: bodied, end: endBody, failure } = await bodyInit(body, signal);
  const ends = new EndSignal([signal, disposal]);
  const end = () => {
    endBody();
    ends.release();
  };
  const init: RequestInit = {
    ...bodied,
    method: "POST",
    headers: { [FETCH_HEADER]: headText([port, path, options]) },
    signal: ends.signal,
  };
  try {
    return await responseOf(await asked(ask, "bytes/fetch", init), end);
  } catch (error) {
    end();
    signal?.throwIfAborted();
    const failed = failure?.();
    throw failed ? failed.reason : toAgentVmError(error);
  }
}

async function bodyInit(
  body: VmFetchStreamOptions["body"],
  signal: AbortSignal | undefined,
): Promise<EndableBody> {
  const whole = (init: RequestInit) => ({ init, end: () => undefined });
  if (body === undefined) return whole({});
  if (typeof body === "string") return whole(bodyOf(new TextEncoder().encode(body)));
  if (body instanceof Uint8Array) return whole(bodyOf(body));
  if (body instanceof Blob) return whole({ body });
  if (body instanceof ReadableStream && !body.locked) return await bodyOfStream(body, signal);
  checkUnlocked("body", body);
  throw invalidArgument("body", "a string, bytes, a Blob or a stream of bytes", body);
}

function headText(head: [number, string, VmFetchOptions]): string {
  const text = toBase64(new TextEncoder().encode(JSON.stringify(head)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Reads the head off an answer. @param onEnd called once nothing of the answer is read any more */
async function responseOf(answer: Response, onEnd: () => void): Promise<Response> {
  const reader = (answer.body as ReadableStream<Uint8Array> | null)?.getReader();
  if (reader === undefined) throw broken();
  let bytes: Uint8Array = new Uint8Array();
  let end = HEAD_LENGTH_BYTES;
  while (bytes.byteLength < end) {
    const next = await reader.read();
    if (next.done) throw broken();
    bytes = joined([bytes, next.value], bytes.byteLength + next.value.byteLength);
    if (bytes.byteLength < HEAD_LENGTH_BYTES) continue;
    end = HEAD_LENGTH_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    if (end > HEAD_LENGTH_BYTES + MAX_HEAD_BYTES) throw broken();
  }
  const head = parseJson(new TextDecoder().decode(bytes.subarray(HEAD_LENGTH_BYTES, end)));
  const { status, statusText, headers } = head as FetchHead;
  const rest = BODILESS.has(status) ? null : restOf(reader, bytes.subarray(end), onEnd);
  if (rest === null) {
    onEnd();
    void reader.cancel().catch(() => undefined);
  }
  try {
    return new Response(rest, { status, statusText, headers });
  } catch (error) {
    void reader.cancel().catch(() => undefined);
    const text = `The response cannot be shown: ${(error as Error).message}`;
    throw new AgentVmError("fetch_failed", text, { status }, { cause: error });
  }
}

function restOf(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  first: Uint8Array,
  onEnd: () => void,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        if (first.byteLength > 0) controller.enqueue(first);
      },
      async pull(controller) {
        const next = await reader.read().catch((error: unknown) => {
          onEnd();
          throw error;
        });
        if (!next.done) return controller.enqueue(next.value);
        onEnd();
        controller.close();
      },
      cancel(reason) {
        onEnd();
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

function broken(): AgentVmError {
  return connectionLost("The connection to the server broke");
}
