import { AgentVmError } from "../api/errors.ts";

/** An error as a log shows it. */
export interface ShownError {
  type: string;
  code?: string;
  message: string;
  stack: string;
  cause?: ShownError;
}

/** Codes whose text the server itself writes. The text of any other code may repeat what a client or an agent has sent. */
const OWN_TEXTS: ReadonlySet<string> = new Set([
  "boot_failed",
  "call_lost",
  "data_in_use",
  "internal_error",
  "listen_failed",
  "no_storage",
  "port_in_use",
  "server_full",
  "storage_failed",
  "vm_destroyed",
  "vm_stopped",
]);

const MAX_CAUSES = 3;

/**
 * Describes an error for a log: never with an argument, a path, content or a token that its text or its fields may repeat.
 * Anything can be thrown, and has a stack here too.
 */
export function shownError(error: unknown, depth = 0): ShownError {
  if (!(error instanceof Error)) return shownError(new Error(`a ${typeof error} was thrown`), depth);
  const type = /^\w{1,64}$/.test(error.name) ? error.name : "Error";
  const { code } = error as { code?: unknown };
  const name = typeof code === "string" && /^\w{1,64}$/.test(code) ? code : undefined;
  const message = textOf(error, name);
  const frames = /\n {4}at [\s\S]*$/.exec(error.stack ?? "")?.[0] ?? "";
  const hasCause = error.cause !== undefined && depth < MAX_CAUSES;
  return {
    type,
    ...(name !== undefined && { code: name }),
    message,
    stack: `${type}: ${message}${frames}`,
    ...(hasCause && { cause: shownError(error.cause, depth + 1) }),
  };
}

function textOf(error: Error, code: string | undefined): string {
  const { syscall, group } = error as { syscall?: unknown; group?: unknown };
  // RivetKit's errors have a group. They carry the code of an AgentVmError and its text.
  const isCoded = error instanceof AgentVmError || group !== undefined;
  if (isCoded && !OWN_TEXTS.has(code ?? "")) return code ?? "an error without a code";
  if (typeof syscall === "string" && /^\w+$/.test(syscall)) return `${code}: ${syscall}`;
  // A parser's message repeats a part of its input.
  if (error instanceof SyntaxError) return "invalid syntax";
  // Node quotes the values that it refuses.
  return error.message.replace(/(['"`]).*?\1/gs, "'...'").replace(/\bReceived .*/s, "Received ...");
}
