import { UserError } from "rivetkit";
import { AgentVmError } from "../api/errors.ts";
import type { CallOutcome } from "../api/types.ts";
import type { ActorLog } from "./logger.ts";

/**
 * The form in which an error reaches a client: RivetKit passes on public errors only and hides the text of all others.
 * What was not raised on purpose is logged under an id, and the client is told that id and nothing else.
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

/** RivetKit's form of one of our errors. */
export function userError(error: AgentVmError): UserError {
  const converted = new UserError(error.message, { code: error.code, metadata: error.metadata });
  converted.statusCode = error.status;
  return converted;
}

/** A failed call's outcome, as callSettled carries it. */
export function failedOutcome(error: UserError | AgentVmError): CallOutcome {
  const { code, message, metadata } = error;
  return { ok: false, error: { code, message, metadata } };
}
