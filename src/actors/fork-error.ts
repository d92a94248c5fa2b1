import { AgentVmError, receivedError } from "../api/errors.ts";

/** An error of the other actor of a fork, as RivetKit's client throws it. */
interface PeerError {
  group?: unknown;
  code?: unknown;
  message?: unknown;
  metadata?: unknown;
}

/** Groups of errors of the engine's gateway, which has not reached the other actor, or has lost it. */
const GATEWAY_GROUPS: readonly unknown[] = ["guard", "ws", "pegboard"];

/** Returns whether an error says that the other actor has no server at the moment. */
export function isBetweenServers(error: unknown): boolean {
  const { group, code } = Object(error) as PeerError;
  return code === "server_stopping" || GATEWAY_GROUPS.includes(group);
}

/** Returns whether an error says that the source of a fork is gone, or offers its files no more. */
export function isOver(error: unknown): boolean {
  const { group, code } = Object(error) as PeerError;
  if (code === "action_not_found") return true;
  return (
    group === "actor" && typeof code === "string" && (code === "not_found" || code.startsWith("destroyed"))
  );
}

/**
 * Returns the error of a fork whose other actor has failed with `error`. It never says that the fork may be repeated: the new VM may have
 * been made.
 */
export function forkError(error: unknown): unknown {
  if (error instanceof AgentVmError) return error;
  const { group, code, message, metadata } = Object(error) as PeerError;
  if (group === "user" && !isBetweenServers(error) && !isOver(error))
    return receivedError(String(code), String(message), Object(metadata));
  if (!isBetweenServers(error) && !isOver(error)) return error;
  return new AgentVmError("call_lost", `The fork was cut off: ${String(message)}`);
}
