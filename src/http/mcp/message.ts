import type { IncomingMessage } from "node:http";
import { AgentVmError, invalidArgument, tooManyValues } from "../../api/errors.ts";
import { BodyCollector } from "../../base/body-collector.ts";
import { parseJson } from "../../base/json.ts";
import { countUnended, noteBytes } from "../../rivet/client-backlog.ts";
import { JsonCounter } from "../../rivet/json-counter.ts";
import { MAX_MCP_REQUEST_BYTES } from "../limits.ts";

/**
 * Reads the message of a request of MCP. The bytes count as backlog of the client.
 *
 * @returns `null` for a body that is not JSON
 * @throws AgentVmError `E2BIG`; `invalid_argument` for a batch, which one request could fill with thousands of calls, and for more
 * values than a call may have
 */
export async function readMessage(request: IncomingMessage): Promise<unknown> {
  const body = new BodyCollector(MAX_MCP_REQUEST_BYTES);
  const counter = new JsonCounter(true);
  countUnended(request.socket, () => body.length);
  try {
    if (Number(request.headers["content-length"] ?? 0) > MAX_MCP_REQUEST_BYTES) throw tooLarge();
    // The answer leaves on the same socket, so the loop must not destroy the request.
    const pieces: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
    for await (const piece of pieces) {
      if (!body.add(piece)) throw tooLarge();
      noteBytes(piece.length);
      if (!counter.add(piece)) throw tooManyValues();
    }
    return parse(body.take());
  } finally {
    body.take();
    // The rest of a refused body flows away, so that the client reads the answer and can use the connection again.
    request.resume();
  }
}

/** @throws AgentVmError `invalid_argument` for a batch */
function parse(body: Buffer): unknown {
  const message = parseJson(body.toString()) ?? null;
  if (Array.isArray(message))
    throw invalidArgument("body", "one message, because batches are not served", "an array");
  return message;
}

function tooLarge(): AgentVmError {
  const limit = { limit: "MAX_MCP_REQUEST_BYTES", value: MAX_MCP_REQUEST_BYTES };
  return new AgentVmError("E2BIG", `The request has more than ${MAX_MCP_REQUEST_BYTES} bytes`, limit);
}
