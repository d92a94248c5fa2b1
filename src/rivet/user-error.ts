import { AgentVmError, actorNotFound } from "../api/errors.ts";
import type { CallOutcome } from "../api/methods/transport.ts";
import type { ActorLog } from "./log.ts";
import { UserError } from "./rivetkit.ts";

/**
 * Converts an error into the form in which a client may see it. An unexpected error is logged under an id, and the client
 * learns only that id.
 *
 * For RivetKit 2.2 and 2.3, which pass on the text of a UserError and hide the text of every other error.
 */
export function toUserError(error: unknown, log: ActorLog, action: string): UserError {
  if (error instanceof UserError) return error;
  if (error instanceof AgentVmError) return userError(error);
  const errorId = crypto.randomUUID();
  log.error({ msg: "internal error", errorId, action, err: error });
  return userError(
    new AgentVmError("internal_error", `Internal error of ${action}; the server logged it as ${errorId}`, {
      errorId,
      action,
    }),
  );
}

/** Settles like the work, but rejects with the form of the error that a client may see. */
export async function withUserErrors<Result>(
  log: ActorLog,
  action: string,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw toUserError(error, log, action);
  }
}

/** Converts an AgentVmError into RivetKit's UserError, with the HTTP status of its code. */
export function userError(error: AgentVmError): UserError {
  const converted = new UserError(error.message, { code: error.code, metadata: error.metadata });
  converted.statusCode = error.status;
  return converted;
}

/** @returns the code of an error, as a client may see it */
export function errorOf(error: unknown): { code: string; metadata?: unknown } {
  const isKnown = error instanceof AgentVmError || error instanceof UserError;
  return isKnown ? { code: error.code, metadata: error.metadata } : { code: "internal_error" };
}

/** @returns the outcome of a failed call, as the event `callSettled` carries it. */
export function failedOutcome(error: UserError | AgentVmError): CallOutcome {
  const { code, message, metadata } = error;
  return { ok: false, error: { code, message, metadata } };
}

/** RivetKit's error for an actor that does not exist. A client that knew the actor by its key looks the key up again. */
export function actorGone(actorId: string): UserError {
  const error = userError(actorNotFound(actorId));
  return Object.assign(error, { group: "actor", code: "not_found" });
}

/** Returns an error of another program of Rivet with its own group and code, as a client may see it. */
export function remoteError(error: {
  group: string;
  code: string;
  message: string;
  metadata?: unknown;
}): UserError {
  const { group, code, message, metadata } = error;
  return Object.assign(new UserError(message, { code, metadata }), { group });
}
