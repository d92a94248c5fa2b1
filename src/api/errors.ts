import { definitionOf, type ErrorCode, isErrorCode, isPosixCode, type PosixCode } from "./error-codes.ts";
import { MAX_CALL_DEPTH, MAX_CALL_KEYS, MAX_CALL_VALUES } from "./limits.ts";

export type { ErrorCode, PosixCode } from "./error-codes.ts";

/** Details of an error. docs/errors.md names the fields of each code. */
export interface ErrorMetadata {
  /** Remedy for the caller or the server's operator. */
  hint?: string;
  [key: string]: unknown;
}

/** Every error that agent-vm raises on purpose, on the server and in the client. */
export class AgentVmError extends Error {
  /** Always `"AgentVmError"`. */
  override readonly name = "AgentVmError";
  /** Stable code to branch on: a code of this package, or a POSIX code such as `ENOENT`. */
  readonly code: ErrorCode | PosixCode;
  /** Details that fit the code, with a `hint` if there is a remedy. */
  readonly metadata: ErrorMetadata;

  /**
   * @param message text for people
   * @param metadata a `hint` here replaces the hint of the code
   */
  constructor(
    code: ErrorCode | PosixCode,
    message: string,
    metadata: ErrorMetadata = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    const { hint } = definitionOf(code);
    this.metadata = hint === undefined || metadata.hint !== undefined ? metadata : { ...metadata, hint };
  }

  /** HTTP status that fits the code. */
  get status(): number {
    return definitionOf(this.code).status;
  }
}

/**
 * Makes the error that a message from the wire describes. The server may be newer than this package.
 *
 * @returns an error with `code`, or `unknown_error` with `metadata.code` if this version does not know the code
 */
export function receivedError(
  code: string,
  message: string,
  metadata: ErrorMetadata,
  options?: ErrorOptions,
): AgentVmError {
  if (isErrorCode(code) || isPosixCode(code)) return new AgentVmError(code, message, metadata, options);
  return new AgentVmError("unknown_error", message, { ...metadata, code }, options);
}

/** Returns the error for an argument of the wrong type or out of range. */
export function invalidArgument(argument: string, expected: string, received: unknown): AgentVmError {
  return new AgentVmError(
    "invalid_argument",
    `Expected \`${argument}\` to be ${expected}, got ${describe(received)}`,
    { argument, expected, received: describe(received) },
  );
}

/** Returns the error for a request without a valid token. It never shows a token. */
export function unauthorized(
  reason: "missing" | "invalid" | "expired" | "revoked",
  message: string,
): AgentVmError {
  return new AgentVmError("unauthorized", message, { reason });
}

export function vmDestroyed(): AgentVmError {
  return new AgentVmError("vm_destroyed", "The VM has been destroyed");
}

export function actorNotFound(actorId: string): AgentVmError {
  return new AgentVmError("actor_not_found", `VM not found: ${actorId}`, { actorId });
}

/** Returns the beginning of a text of a client, for an error message. */
export const shortened = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}...` : text);

/** Returns the error for an actor name that the server does not have. */
export function actorTypeNotFound(name: string, known: readonly string[]): AgentVmError {
  const names = known.map((each) => JSON.stringify(each)).join(", ");
  return new AgentVmError(
    "actor_type_not_found",
    `The server has no actor type ${JSON.stringify(shortened(name))}. It has ${names}`,
    { known: [...known] },
  );
}

/** Returns the error for an option that the action does not have. */
export function unknownOption(action: string, option: string, known: readonly string[]): AgentVmError {
  const takes =
    known.length === 0 ? "it has no options" : `it takes ${known.map((name) => `\`${name}\``).join(", ")}`;
  const argument = shortened(option);
  return new AgentVmError("invalid_argument", `Unknown option \`${argument}\` of ${action}: ${takes}`, {
    argument,
    known: [...known],
  });
}

export function tooManyArguments(action: string, maximum: number, received: number): AgentVmError {
  const takes = maximum === 0 ? "no arguments" : `at most ${maximum} argument${maximum === 1 ? "" : "s"}`;
  return new AgentVmError("invalid_argument", `${action} takes ${takes}, got ${received}`, {
    action,
    maximum,
    received,
  });
}

export function processNotFound(pid: number): AgentVmError {
  return new AgentVmError("process_not_found", `Process not found: ${pid}`, { pid });
}

export function shellNotFound(shellId: string): AgentVmError {
  return new AgentVmError("shell_not_found", `Shell not found: ${shellId}`, { shellId });
}

export function cronJobNotFound(jobId: string): AgentVmError {
  return new AgentVmError("cron_job_not_found", `Cron job not found: ${jobId}`, { jobId });
}

export function sessionNotFound(sessionId: string, more: { hint?: string } = {}): AgentVmError {
  return new AgentVmError("session_not_found", `Session not found: ${sessionId}`, { sessionId, ...more });
}

/** The error of a session that has a transcript, so that resumeSession() can open it. */
export function sessionClosed(sessionId: string): AgentVmError {
  return sessionNotFound(sessionId, { hint: "It is closed; resumeSession() opens it again." });
}

export function unknownAgent(name: string, known: readonly string[]): AgentVmError {
  const agentType = name.slice(0, 80);
  return new AgentVmError(
    "unknown_agent_type",
    `Unknown agent type: ${agentType} (known: ${known.join(", ")})`,
    { agentType, known: [...known] },
  );
}

export function transferNotFound(transferId: string): AgentVmError {
  return new AgentVmError("transfer_not_found", `File transfer not found: ${transferId}`, { transferId });
}

export function fileChanged(): AgentVmError {
  return new AgentVmError("file_changed", "The file has changed since its transfer began");
}

export function actionNotFound(action: string): AgentVmError {
  return new AgentVmError("action_not_found", `Action not found: ${action.slice(0, 80)}`, {});
}

/** Part of a VM that a runtime may lack. */
export type Capability = "processes" | "terminals" | "network" | "watches" | "mounts";

/**
 * Returns the error for an action that the VM's runtime cannot carry out.
 *
 * @param action name of the action, or its effect: `exec`, `Starting a process`
 */
export function notSupported(action: string, capability: Capability, runtime: string): AgentVmError {
  return new AgentVmError(
    "not_supported",
    `${action} needs ${capability}, which the runtime "${runtime}" does not have`,
    { action, capability, runtime, hint: 'Run the VM with runtime: "kernel".' },
  );
}

/**
 * Returns the error for a call that would pass a named limit.
 *
 * @param remedy sentence that says how to make room
 */
export function limitExceeded(limits: Record<string, number>, what: string, remedy: string): AgentVmError {
  const [limit = "", value] = Object.entries(limits)[0] ?? [];
  return new AgentVmError("limit_exceeded", `${what} (${limit} = ${value}). ${remedy}`, { limit, value });
}

/**
 * Returns the error for a result that does not fit one message.
 *
 * @param instead sentence that names another way
 */
export function responseTooLarge(
  action: string,
  bytes: number,
  maximum: number,
  instead: string,
): AgentVmError {
  return new AgentVmError(
    "response_too_large",
    `The result of ${action} has ${bytes} bytes, above the ${maximum} that one message carries. ${instead}`,
    { action, bytes, maximum },
  );
}

/** Returns the error for arguments that do not fit one message. */
export function argumentsTooLarge(action: string, bytes: number, maximum: number): AgentVmError {
  return new AgentVmError(
    "invalid_argument",
    `The arguments of ${action} have ${bytes} bytes, above the ${maximum} that one message carries. Send them in parts.`,
    { action, bytes, maximum },
  );
}

/** Returns the error for arguments that would take too long to decode. */
export function tooManyValues(): AgentVmError {
  return new AgentVmError(
    "invalid_argument",
    `Expected \`arguments\` to be at most ${MAX_CALL_VALUES} values (MAX_CALL_VALUES) with ${MAX_CALL_KEYS} keys (MAX_CALL_KEYS), ${MAX_CALL_DEPTH} levels deep (MAX_CALL_DEPTH)`,
    { argument: "arguments" },
  );
}

/** Returns the error for a request whose body does not fit one message. */
export function tooLargeMessage(maximum: number): AgentVmError {
  const message = `The request has more than ${maximum} bytes (MAX_MESSAGE_BYTES). Send it in parts.`;
  return new AgentVmError("invalid_argument", message, { maximum });
}

/** Returns the error for a server that the client cannot reach, or a lost connection. */
export function connectionLost(why: string, cause?: unknown): AgentVmError {
  return new AgentVmError("connection_lost", why, {}, { cause });
}

export function vmStopped(): AgentVmError {
  return new AgentVmError("vm_stopped", "The VM was stopped");
}

/** Describes a value for an error message: short, and safe to print. */
function describe(value: unknown): string {
  if (value === null) return "null";
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  switch (typeof value) {
    case "string":
      return JSON.stringify(shortened(value));
    case "number":
    case "boolean":
    case "bigint":
      return String(value);
    case "object":
      return "an object";
    default:
      return typeof value;
  }
}

/** Returns the error for a wrong preview token. It does not say whether the token ever existed. */
export function previewDenied(): AgentVmError {
  return new AgentVmError("preview_denied", "The preview URL is unknown or has expired");
}
