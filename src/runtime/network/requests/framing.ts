import type { ClientRequest, IncomingMessage } from "node:http";
import { type AgentVmError, invalidArgument } from "../../../api/errors.ts";
import { MAX_INTERIM_RESPONSES } from "../limits.ts";
import { headerValues } from "./end-to-end.ts";

/** Headers that tell the receiver where a request's body ends. At most one of them is set. */
export type Framing = Record<string, [string]>;

/**
 * Returns the framing of a request to forward. The framing states what Node's parser read, whatever the headers say, so
 * the receiver reads exactly one request.
 *
 * @returns `undefined` for a request with a transfer coding other than chunked, or with an invalid length
 */
export function framingOf({
  rawHeaders,
  httpVersion,
}: Pick<IncomingMessage, "rawHeaders" | "httpVersion">): Framing | undefined {
  const codings = headerValues(rawHeaders, "transfer-encoding");
  const lengths = headerValues(rawHeaders, "content-length");
  if (codings.length + lengths.length > 1) return undefined;
  if (codings[0] !== undefined) {
    const isChunked = codings[0].toLowerCase() === "chunked" && httpVersion === "1.1";
    return isChunked ? { "transfer-encoding": ["chunked"] } : undefined;
  }
  if (lengths[0] === undefined) return {};
  const length = Number(lengths[0]);
  return /^\d+$/.test(lengths[0]) && Number.isSafeInteger(length)
    ? { "content-length": [String(length)] }
    : undefined;
}

/** Returns whether a request has a body, or may have one. */
export function hasBody(framing: Framing | undefined): boolean {
  if (framing === undefined || "transfer-encoding" in framing) return true;
  return Number(framing["content-length"]?.[0] ?? 0) > 0;
}

/** Ends a request whose server sends more than MAX_INTERIM_RESPONSES interim responses. */
export function boundInterim(request: ClientRequest): void {
  let count = 0;
  request.on("information", () => {
    count += 1;
    if (count > MAX_INTERIM_RESPONSES)
      request.destroy(
        new Error(
          `more than ${MAX_INTERIM_RESPONSES} interim responses (MAX_INTERIM_RESPONSES = ${MAX_INTERIM_RESPONSES})`,
        ),
      );
  });
}

/** Error of a request that is not forwarded. */
export function badRequest({ method }: IncomingMessage): AgentVmError {
  const expected =
    "a method other than TRACE, one frame for the body, and GET without a body for a WebSocket";
  return invalidArgument("request", expected, method);
}
