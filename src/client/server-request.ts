import { AgentVmError, connectionLost, receivedError } from "../api/errors.ts";
import { parseJson } from "../base/json.ts";
import type { Server } from "./rivet/config.ts";
import { toAgentVmError, unreachable } from "./rivet/errors.ts";

/**
 * Longest wait for an answer.
 * @unit ms
 */
const ANSWER_TIMEOUT_MS = 60_000;

/** A request to the server itself, not to a VM. */
interface ServerRequest {
  method: "GET" | "POST";
  /** Path below the endpoint, e.g. `"vms"`. */
  path: string;
  query?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
}

/** Sends a request to the server and returns its answer. */
export async function askServer(
  { endpoint, token, headers }: Server,
  { method, path, query = {}, body }: ServerRequest,
): Promise<unknown> {
  const url = new URL(`${endpoint}/${path}`);
  const sent = {
    ...headers,
    ...(token !== undefined && { "x-rivet-token": token }),
    ...(body !== undefined && { "content-type": "application/json" }),
  };
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  try {
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    // Without a body JSON.stringify() returns undefined.
    const response = await fetch(url, { method, headers: sent, signal, body: JSON.stringify(body) ?? null });
    const answer = parseJson(await response.text());
    if (response.ok && answer !== undefined) return answer;
    throw errorIn(answer, response.status);
  } catch (error) {
    throw error instanceof AgentVmError ? error : toAgentVmError(unreachable(endpoint, error));
  }
}

/** Returns the error that an answer carries. */
export async function answerError(response: Response): Promise<AgentVmError> {
  return refusalIn(response.status, await response.text());
}

/** Returns the error that the text of an answer carries. */
export function refusalIn(status: number, text: string): AgentVmError {
  return errorIn(parseJson(text), status);
}

function errorIn(body: unknown, status: number): AgentVmError {
  const { code, message, metadata } = Object(body) as Partial<Record<"code" | "message", string>> & {
    metadata?: Record<string, unknown>;
  };
  if (code === undefined && status === 404)
    return new AgentVmError("not_supported", "This server does not answer such requests", {
      hint: "Give the client the endpoint of an agent-vm server, not that of a Rivet Engine. Update an old server.",
    });
  if (code === undefined) return connectionLost(`The server answered with status ${status}`);
  return receivedError(code, message ?? code, metadata ?? {});
}
