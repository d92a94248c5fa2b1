import type { IncomingMessage, ServerResponse } from "node:http";
import { type AgentVmError, tooLargeMessage, tooManyValues } from "../api/errors.ts";
import { isHandedOn } from "../api/gateway-path.ts";
import { MAX_MESSAGE_BYTES } from "../api/limits.ts";
import { BodyCollector } from "../base/body-collector.ts";
import { parseJson } from "../base/json.ts";
import { countUnended, noteBytes } from "./client-backlog.ts";
import { openOutlet } from "./outlets.ts";
import { refuseUndecoded } from "./undecoded.ts";
import { encodingOf, valueCounter } from "./value-counter.ts";

/** Bytes of a body above MAX_MESSAGE_BYTES that reach RivetKit, which refuses them with its own code. */
const SLACK_BYTES = 1024 * 1024;

/**
 * Holds a body until it is complete, and hands the request over if RivetKit can decode it without holding up the event loop.
 *
 * For RivetKit 2.2, which reads bodies of any size and has no hook before it decodes them.
 *
 * @param client names the client, whose bodies are counted together
 */
export function withDecodableBody(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  pass: () => void,
  refuse: (error: AgentVmError) => void,
  client = "",
): void {
  if (request.method === "GET" || isHandedOn(path)) {
    pass();
    return;
  }
  const header = (name: string) => request.headers[name]?.toString();
  const encoding = isForActors(path) ? "json" : encodingOf(request.method, header);
  const outlet = openOutlet(request, response, encoding);
  const counter = valueCounter(encoding, "request");
  const push = request.push;
  // A client may send a body of 31 MiB in pieces of one byte.
  const body = new BodyCollector();
  let bytes = 0;
  let refusal: AgentVmError | undefined;
  countUnended(request.socket, () => body.length + (outlet?.waitingBytes ?? 0));
  // Node hands over the body with `push`, whether or not anybody reads.
  request.push = (piece: Buffer | null) => {
    if (piece === null) {
      if (refusal === undefined && isForActors(path) && !hasDecodableInput(body.content))
        refusal = tooManyValues();
      if (refusal !== undefined) refuse(refusal);
      else if (isForActors(path)) pass();
      else refuseUndecoded(response, { client, bytes }, pass, refuse);
      request.push = push;
      if (body.length > 0) request.push(body.take());
      return request.push(null);
    }
    bytes += piece.length;
    if (bytes > MAX_MESSAGE_BYTES + SLACK_BYTES) {
      // A client that goes on is cut.
      request.push = () => false;
      refuse(tooLargeMessage(MAX_MESSAGE_BYTES));
      return false;
    }
    if (refusal !== undefined) return true;
    body.add(piece);
    noteBytes(piece.length);
    if (counter.add(piece)) return true;
    // The rest is read and dropped: a client that still sends could not read the answer.
    refusal = tooManyValues();
    body.take();
    return true;
  };
}

const isForActors = (path: string): boolean => path.startsWith("/actors");

/** Whether the input of an actor that a request makes can be decoded: CBOR in base64. */
function hasDecodableInput(body: Buffer): boolean {
  const request = parseJson(body.toString()) as { input?: unknown } | null | undefined;
  if (typeof request?.input !== "string") return true;
  return valueCounter("cbor", "request").add(Buffer.from(request.input, "base64"));
}
