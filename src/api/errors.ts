/** How one error code is worded and answered. */
interface ErrorDefinition {
  /** HTTP status of a raw request that ends with it. */
  status: number;
  /** What helps, where something does. */
  hint?: string;
}

/** Every code that is not a POSIX one; POSIX codes (`ENOENT`, ...) are passed on as the kernel gave them. */
export const ERROR_DEFINITIONS = {
  invalid_argument: { status: 400 },
  unauthorized: { status: 401, hint: "Pass the server's token: createClient({ endpoint, token })." },
  forbidden_origin: {
    status: 403,
    hint: "A server without a token answers loopback hosts and origins only; set AGENT_VM_TOKEN for others.",
  },
  process_not_found: { status: 404 },
  shell_not_found: { status: 404 },
  cron_job_not_found: { status: 404 },
  session_not_found: { status: 404, hint: "listPersistedSessions() tells which there are." },
  permission_not_found: { status: 404 },
  unknown_agent_type: { status: 404, hint: "listAgents() tells which there are." },
  agent_not_installed: { status: 424, hint: "Install it on the server, and start the server again." },
  agent_failed: { status: 502 },
  agent_crashed: {
    status: 502,
    hint: "The next prompt starts the agent again, with what it had said before.",
  },
  transfer_not_found: { status: 404, hint: "Transfers end 60 s after their last use; start again." },
  limit_exceeded: { status: 429 },
  response_too_large: { status: 413 },
  no_kernel_sandbox: {
    status: 501,
    hint: 'This VM runs with runtime: "memory", which has files but no processes.',
  },
  boot_failed: { status: 500, hint: "Run `npm run doctor` on the server; the next action boots again." },
  vm_stopped: { status: 503, hint: "The VM stopped while the call ran; the next action boots it again." },
  snapshot_not_found: { status: 404 },
  invalid_archive: { status: 400, hint: "Nothing of it was imported." },
  no_storage: { status: 501, hint: "Give createVm() a store, or use the VM through a server." },
  storage_damaged: {
    status: 500,
    hint: "restore({ allowMissing: true }) goes on without the files that are lost.",
  },
  storage_too_new: {
    status: 500,
    hint: "Run the server's newer version again: nothing of the VM has been changed.",
  },
  watch_unavailable: { status: 501, hint: "Install perl on the server's host, and see `npm run doctor`." },
  storage_failed: {
    status: 500,
    hint: "Look at the server's disk and log; the next checkpoint tries again.",
  },
  network_failed: { status: 500 },
  fetch_failed: { status: 502 },
  fetch_aborted: { status: 499 },
  fetch_timeout: { status: 504, hint: "Pass a larger timeoutMs, or open the port through a preview URL." },
  wait_aborted: { status: 499 },
  port_timeout: { status: 504, hint: "listPorts() tells what listens." },
  preview_denied: { status: 403, hint: "createSignedPreviewUrl() makes another one." },
  preview_failed: { status: 502 },
  call_lost: {
    status: 503,
    hint: "The server restarted while the call ran. It may or may not have taken effect.",
  },
  connection_lost: { status: 503 },
  actor_not_found: { status: 404, hint: "getOrCreate makes an actor that does not exist yet." },
  action_not_found: { status: 404 },
  duplicate_key: { status: 409, hint: "getOrCreate takes the actor that has the key." },
  port_in_use: { status: 500, hint: "Stop what listens there, or choose another port with PORT." },
  data_in_use: {
    status: 500,
    hint: "Stop that server, or choose another folder with AGENT_VM_DATA or `dataDir`.",
  },
  listen_failed: { status: 500 },
  internal_error: { status: 500, hint: "Read the server's log." },
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorCode = keyof typeof ERROR_DEFINITIONS;

export interface ErrorMetadata {
  hint?: string;
  [key: string]: unknown;
}

/**
 * Every error that this package raises on purpose, on the server and in the client.
 * `code` is stable; `message` is for people.
 */
export class AgentVmError extends Error {
  override readonly name = "AgentVmError";
  /** A code of ERROR_DEFINITIONS, or a POSIX code such as `ENOENT`. */
  readonly code: string;
  readonly metadata: ErrorMetadata;

  constructor(code: string, message: string, metadata: ErrorMetadata = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    const hint = definitionOf(code)?.hint;
    this.metadata = hint === undefined || metadata.hint !== undefined ? metadata : { ...metadata, hint };
  }

  /** HTTP status that fits the code; 400 for POSIX codes. */
  get status(): number {
    return definitionOf(this.code)?.status ?? 400;
  }
}

function definitionOf(code: string): ErrorDefinition | undefined {
  return Object.hasOwn(ERROR_DEFINITIONS, code) ? ERROR_DEFINITIONS[code as ErrorCode] : undefined;
}

/** An argument that is not what the action takes. */
export function invalidArgument(argument: string, expected: string, received: unknown): AgentVmError {
  return new AgentVmError(
    "invalid_argument",
    `Expected \`${argument}\` to be ${expected}, got ${describe(received)}`,
    { argument, expected, received: describe(received) },
  );
}

/** An option that the action does not know; it is refused, never ignored. */
export function unknownOption(action: string, option: string, known: readonly string[]): AgentVmError {
  const takes =
    known.length === 0 ? "it takes none" : `it takes ${known.map((name) => `\`${name}\``).join(", ")}`;
  return new AgentVmError("invalid_argument", `Unknown option \`${option}\` of ${action}: ${takes}`, {
    argument: option,
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

/** @param closed it has a transcript and can be opened again. */
export function sessionNotFound(sessionId: string, closed = false): AgentVmError {
  return new AgentVmError("session_not_found", `Session not found: ${sessionId}`, {
    sessionId,
    ...(closed && { hint: "It is closed; resumeSession() opens it again." }),
  });
}

export function transferNotFound(transferId: string): AgentVmError {
  return new AgentVmError("transfer_not_found", `File transfer not found: ${transferId}`, { transferId });
}

export function actionNotFound(action: string): AgentVmError {
  return new AgentVmError("action_not_found", `Action not found: ${action.slice(0, 80)}`, {});
}

export function noKernelSandbox(action: string): AgentVmError {
  return new AgentVmError(
    "no_kernel_sandbox",
    `${action} needs the kernel sandbox, which this VM does not have`,
    {
      action,
    },
  );
}

/** A named limit that the call would pass. */
export function limitExceeded(limit: string, value: number, what: string): AgentVmError {
  return new AgentVmError("limit_exceeded", `${what} (${limit} = ${value})`, { limit, value });
}

/** A result that cannot cross the wire in one piece. */
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

/** Arguments that cannot cross the wire in one piece. */
export function argumentsTooLarge(action: string, bytes: number, maximum: number): AgentVmError {
  return new AgentVmError(
    "invalid_argument",
    `The arguments of ${action} have ${bytes} bytes, above the ${maximum} that one message carries`,
    { action, bytes, maximum },
  );
}

/** The server cannot be reached, or the way to it broke off. */
export function connectionLost(why: string, cause?: unknown): AgentVmError {
  return new AgentVmError("connection_lost", why, {}, { cause });
}

export function vmStopped(): AgentVmError {
  return new AgentVmError("vm_stopped", "The VM was stopped");
}

/** A value in an error message: short, and safe to print. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}...` : value);
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
