import {
  AgentVmError,
  connectionLost,
  type ErrorCode,
  type ErrorMetadata,
  receivedError,
} from "../../api/errors.ts";

/** An error that RivetKit's server has sent. */
export class RivetError extends Error {
  /** Part of RivetKit that the code belongs to, e.g. `"actor"`. */
  readonly group: string;
  readonly code: string;
  readonly metadata: unknown;

  constructor(group: string, code: string, message: string, metadata?: unknown) {
    super(message);
    this.group = group;
    this.code = code;
    this.metadata = metadata;
  }
}

/** A request without an answer, or with an answer that is not RivetKit's. */
export class RequestError extends Error {
  /** Details for the AgentVmError that it becomes. */
  readonly metadata: ErrorMetadata;

  constructor(message: string, { cause, metadata = {} }: { cause?: unknown; metadata?: ErrorMetadata } = {}) {
    super(message, { cause });
    this.metadata = metadata;
  }
}

/** Returns the error of a request that has not reached the server. @param url of the request. Its path may have a token */
export function unreachable(url: string, cause: unknown): RequestError {
  const { origin: endpoint } = new URL(url);
  const { message } = Object(Object(cause).cause ?? cause) as Partial<Error>;
  const hint = "Start a server, or pass the endpoint of one to createClient().";
  const reason = message ? `: ${message}` : "";
  return new RequestError(`The server at ${endpoint} cannot be reached${reason}`, {
    cause,
    metadata: { endpoint, hint },
  });
}

/** RivetKit's codes and their counterparts here. */
const CODES: Record<string, ErrorCode> = {
  "actor.not_found": "actor_not_found",
  "actor.stopping": "vm_stopped",
  "actor.stopped": "vm_stopped",
  "action.not_found": "action_not_found",
  "message.incoming_too_long": "invalid_argument",
  "message.outgoing_too_long": "response_too_large",
};

/** Groups of the errors with which a Rivet Engine's gateway says that it has not reached the VM, or has lost it. */
const GATEWAY_GROUPS: ReadonlySet<string> = new Set(["guard", "ws"]);

/** Errors of an engine that has too little CPU to find the server of a VM in time. The engine may have forwarded the request before. */
const LATE_ROUTE = /^route_\w+_timeout$/;

/** Errors of the gateway that come before it forwards a request. */
const NOT_FORWARDED: ReadonlySet<unknown> = new Set([
  "actor_ready_timeout",
  "actor_runner_failed",
  "actor_wake_retries_exceeded",
  "no_route_targets",
]);

/** A Rivet Engine's reason for an actor that no server takes. */
export const NO_CAPACITY = "no_capacity";

/** Longest message whose text is replaced. The expressions take long for long texts. */
const MAX_REPLACED_CHARACTERS = 1_000;

/** RivetKit's texts, which name its own concepts, and the texts in their place. */
const TEXTS: readonly [rivet: RegExp, text: string][] = [
  [/^Action '(.*)' not found\..*$/s, "Action not found: $1"],
  [/^Actor not found(: .*?)?( \(https:.*\))?$/s, "VM not found$1"],
  [/^Actor already exists .* and key '(.*)' \(https:.*\)$/s, "A VM with the key $1 exists already"],
  [/^Connection closed: actor\.not_found(#.*)?$/, "VM not found"],
  [/^Connection closed: user\.invalid_argument(#.*)?$/, "The server cannot read a message of this client"],
  [/^Connection closed: user\.vm_destroyed$/, "The VM has been destroyed"],
  [/^Connection closed: user\.unauthorized$/, "The token is missing or invalid, has expired, or was revoked"],
  [/^Connection closed: user\.unauthorized#missing$/, "The request has no token"],
  [/^Connection closed: user\.unauthorized#invalid$/, "The server does not admit the token"],
  [/^Connection closed: user\.unauthorized#expired$/, "The token has expired"],
  [/^Connection closed: user\.unauthorized#revoked$/, "The token has been revoked"],
];

/**
 * Turns any error into an `AgentVmError`.
 *
 * For the servers of RivetKit 2.2 and 2.3, whose errors have a group, a code and a text.
 */
export function toAgentVmError(error: unknown): AgentVmError {
  if (error instanceof AgentVmError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RequestError)
    return new AgentVmError("connection_lost", message, error.metadata, { cause: error });
  if (!(error instanceof RivetError)) return connectionLost(`The connection failed: ${message}`, error);
  if (GATEWAY_GROUPS.has(error.group) || (error.group === "pegboard" && LATE_ROUTE.test(error.code))) {
    if (Object(error.metadata).details === NO_CAPACITY) {
      return new AgentVmError("server_full", "No server has room for another VM", {}, { cause: error });
    }
    const text = `The gateway cannot reach the VM: ${message}`;
    return new AgentVmError("connection_lost", text, { gateway: error.code }, { cause: error });
  }
  const code = CODES[`${error.group}.${error.code}`] ?? error.code;
  const text =
    message.length > MAX_REPLACED_CHARACTERS
      ? message
      : TEXTS.reduce((text, [rivet, ours]) => text.replace(rivet, ours), message);
  return receivedError(code, text, metadataOf(error), { cause: error });
}

/** `true` if the VM has no server at the moment: it moves to another server, or its server starts again. */
export function isBetweenServers({ code, metadata }: AgentVmError): boolean {
  return code === "server_stopping" || metadata.gateway !== undefined;
}

/** `true` if no server has begun the request that failed. */
export function hasNotBegun({ code, metadata }: AgentVmError): boolean {
  return code === "server_stopping" || NOT_FORWARDED.has(metadata.gateway);
}

/** Settles like a promise of RivetKit, but rejects with an `AgentVmError`. */
export async function coded<Value>(promise: Promise<Value>): Promise<Value> {
  try {
    return await promise;
  } catch (error) {
    throw toAgentVmError(error);
  }
}

/** The close frame of a connection has no room for metadata, except for the reason of `unauthorized`. */
function metadataOf({ message, metadata }: RivetError): ErrorMetadata {
  if (typeof metadata === "object" && metadata !== null) return { ...metadata };
  const reason = /^Connection closed: user\.unauthorized#(\w+)$/.exec(message)?.[1];
  return reason === undefined ? {} : { reason };
}
