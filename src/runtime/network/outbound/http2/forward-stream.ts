import { type ClientHttp2Stream, constants, type ServerHttp2Stream } from "node:http2";
import { MAX_INTERIM_RESPONSES } from "../../limits.ts";
import { endToEnd } from "../../requests/end-to-end.ts";
import { isGrpc } from "../grpc.ts";
import { maskedHeaders } from "../http/masked-headers.ts";
import type { PreparedRequest } from "../http/prepared-request.ts";

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;

/**
 * Sends the body and the trailers of a program's request on, and the host's response back. A side that resets its stream
 * resets the other with the same code.
 *
 * @param fail answers in the host's place
 */
export function forwardStream(
  inside: ServerHttp2Stream,
  outgoing: ClientHttp2Stream,
  { body, mask }: PreparedRequest,
  fail: (error: Error) => void,
): void {
  const { session } = outgoing;
  outgoing.on("error", () => undefined);
  inside.once("close", () =>
    outgoing.close(inside.rstCode === NGHTTP2_NO_ERROR ? NGHTTP2_CANCEL : inside.rstCode),
  );
  if (inside.closed) return void outgoing.close(NGHTTP2_CANCEL);
  /** Passes trailers on, or ends both streams. Node throws for a repeated `etag`, and an error in a listener ends the server. */
  const guard = (pass: () => void): void => {
    try {
      pass();
    } catch {
      outgoing.close(NGHTTP2_CANCEL);
      inside.close(NGHTTP2_INTERNAL_ERROR);
    }
  };
  sendRequest(inside, outgoing, body, guard);
  boundInterim(outgoing);
  const trailers: Record<string, string[]> = {};
  outgoing.once("trailers", (_headers, _flags, raw: string[]) =>
    guard(() => Object.assign(trailers, grouped(maskedHeaders(raw, mask)))),
  );
  inside.once("wantTrailers", () => guard(() => inside.sendTrailers(trailers)));
  outgoing.once("response", (headers, flags, raw: string[]) => {
    const isWhole = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    if (inside.closed) return;
    try {
      const answer = grouped(maskedHeaders(pseudoless(raw), mask));
      inside.respond(
        { ":status": headers[":status"], ...answer },
        { endStream: isWhole, waitForTrailers: !isWhole },
      );
    } catch (error) {
      outgoing.close(NGHTTP2_CANCEL);
      return fail(error as Error);
    }
    // A response to HEAD has no body, whatever the host sends.
    if (inside.writableEnded) return void outgoing.resume();
    const isMessages = isGrpc(String(headers["content-type"] ?? ""));
    // No `pipeline`: it would reset a stream with a code of its own.
    if (mask.isEmpty) outgoing.pipe(inside);
    else outgoing.pipe(mask.stream({ isMessages })).pipe(inside);
  });
  outgoing.once("close", () => {
    const { rstCode } = outgoing;
    if (inside.closed) return;
    const isLost = session?.destroyed === true;
    if (!inside.headersSent && (isLost || rstCode === NGHTTP2_NO_ERROR))
      return fail(new Error("the host closed the connection without an answer"));
    if (isLost || rstCode !== NGHTTP2_NO_ERROR)
      return inside.close(isLost ? NGHTTP2_INTERNAL_ERROR : rstCode);
    // The host wants no more of the request's body. A reset of the program's stream could overtake the trailers.
    inside.resume();
  });
}

function sendRequest(
  inside: ServerHttp2Stream,
  outgoing: ClientHttp2Stream,
  body: PreparedRequest["body"],
  guard: (pass: () => void) => void,
): void {
  if (inside.endAfterHeaders) return;
  let trailers: Record<string, string[]> = {};
  inside.once("trailers", (_headers, _flags, raw: string[]) => {
    trailers = grouped(endToEnd(pseudoless(raw)));
  });
  outgoing.once("wantTrailers", () => guard(() => outgoing.sendTrailers(trailers)));
  if (body !== undefined) outgoing.write(body.bytes);
  if (body?.isWhole) outgoing.end();
  else inside.pipe(outgoing);
}

/** Ends a request whose host sends more than MAX_INTERIM_RESPONSES interim responses. They do not reach the program. */
function boundInterim(outgoing: ClientHttp2Stream): void {
  let count = 0;
  outgoing.on("headers", () => {
    count += 1;
    if (count > MAX_INTERIM_RESPONSES) outgoing.close(NGHTTP2_ENHANCE_YOUR_CALM);
  });
}

/** Returns raw headers without those of HTTP/2 itself. */
export function pseudoless(raw: readonly string[]): string[] {
  return raw.filter((_, at) => raw[at - (at % 2)]?.startsWith(":") !== true);
}

function grouped(pairs: readonly (readonly [string, string])[]): Record<string, string[]> {
  const headers: Record<string, string[]> = Object.create(null);
  for (const [name, value] of pairs) {
    headers[name] ??= [];
    headers[name].push(value);
  }
  return headers;
}
