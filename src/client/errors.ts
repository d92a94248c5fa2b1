import { AgentVmError, connectionLost, type ErrorMetadata } from "../api/errors.ts";
import type { CallOutcome } from "../api/types.ts";

/** What RivetKit's errors have in common, over the wire and over its versions. */
interface RivetError {
  group: string;
  code: string;
  message: string;
  metadata?: unknown;
}

/** RivetKit's codes under which this package knows the same failure. */
const CODES: Record<string, string> = {
  "actor.not_found": "actor_not_found",
  "actor.stopping": "vm_stopped",
  "action.not_found": "action_not_found",
  "message.incoming_too_long": "invalid_argument",
  "message.outgoing_too_long": "response_too_large",
};

/** RivetKit gives a failed request the same code as a failure of the server; only the text tells them apart. */
const FAILED_REQUEST = /^HTTP request error: (Request failed)?/;

/** Any error as the one class that users see, whatever way it came. */
export function toAgentVmError(error: unknown): AgentVmError {
  if (error instanceof AgentVmError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const failed = FAILED_REQUEST.exec(message);
  if (failed) return connectionLost(failed[1] ? "The server cannot be reached" : message, error);
  if (!isRivetError(error)) return connectionLost(`The connection failed: ${message}`, error);
  const code = CODES[`${error.group}.${error.code}`] ?? error.code;
  return new AgentVmError(code, message, metadataOf(error), { cause: error });
}

/** A promise of RivetKit's whose errors are ours. */
export async function coded<Value>(promise: Promise<Value>): Promise<Value> {
  try {
    return await promise;
  } catch (error) {
    throw toAgentVmError(error);
  }
}

/** The error that a call ended with on the server. */
export function errorOf(outcome: Extract<CallOutcome, { ok: false }>): AgentVmError {
  const { code, message, metadata } = outcome.error;
  return new AgentVmError(code, message, (metadata ?? {}) as ErrorMetadata);
}

/** Whether trying again may help by itself. */
export function isTransient(error: AgentVmError): boolean {
  return error.code === "connection_lost" || error.code === "vm_stopped";
}

function isRivetError(error: unknown): error is RivetError {
  return error instanceof Error && "group" in error && "code" in error && typeof error.code === "string";
}

function metadataOf({ metadata }: RivetError): ErrorMetadata {
  return typeof metadata === "object" && metadata !== null ? { ...metadata } : {};
}
