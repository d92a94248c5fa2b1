import type { IncomingMessage } from "node:http";
import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import { parseJson } from "../../base/json.ts";
import { readAtMost } from "../../base/read-at-most.ts";
import { MAX_MCP_REQUEST_BYTES } from "../limits.ts";

/**
 * Reads the message of a request of MCP.
 *
 * @returns `null` for a body that is not JSON
 * @throws AgentVmError `E2BIG`; `invalid_argument` for a batch, which one request could fill with thousands of calls
 */
export async function readMessage(request: IncomingMessage): Promise<unknown> {
  // The answer leaves on the same socket, so the loop must not destroy the request.
  const body = await readAtMost(request.iterator({ destroyOnReturn: false }), MAX_MCP_REQUEST_BYTES);
  if (body === undefined) {
    // The rest flows away, so that the client reads the answer and can use the connection again.
    request.resume();
    throw tooLarge();
  }
  const message = parseJson(body.toString()) ?? null;
  if (Array.isArray(message))
    throw invalidArgument("body", "one message, because batches are not served", "an array");
  return message;
}

function tooLarge(): AgentVmError {
  const limit = { limit: "MAX_MCP_REQUEST_BYTES", value: MAX_MCP_REQUEST_BYTES };
  return new AgentVmError("E2BIG", `The request has more than ${MAX_MCP_REQUEST_BYTES} bytes`, limit);
}
