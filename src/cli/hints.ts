import { AgentVmError, type ErrorCode } from "../api/errors.ts";
import { printable } from "../base/printable.ts";
import { isUsageError } from "./exit-codes.ts";
import { keyText } from "./key.ts";
import { jsonLine, printableText } from "./out.ts";

/** Remedies in words of the command line. The hints of the other codes fit here too. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  unauthorized:
    "Pass a token: AGENT_VM_TOKEN, or `agent-vm context add NAME --endpoint URL --token -`, which reads it from stdin.",
  forbidden: "Ask for a token with this right: `agent-vm token create --vm KEY --may RIGHT`.",
  token_not_found: "`agent-vm token ls` lists the tokens.",
  process_not_found: "`agent-vm ps KEY` lists the processes.",
  shell_not_found: "`agent-vm shell KEY --list` lists the shells.",
  cron_job_not_found: "`agent-vm cron ls KEY` lists the jobs.",
  session_not_found:
    "`agent-vm session ls KEY` lists the sessions, and `agent-vm call KEY resumeSession SESSION` opens a closed one again.",
  unknown_agent_type: "`agent-vm session agents KEY` lists the agents.",
  snapshot_not_found: "`agent-vm snapshot ls KEY` lists the snapshots.",
  actor_not_found: "`agent-vm create KEY` makes a VM, `agent-vm ls` lists the VMs.",
  duplicate_key: "Choose another key, or use the VM that has it.",
  vm_destroyed: "`agent-vm create KEY` makes a new VM with the key.",
  action_not_found: "`agent-vm call --list` lists the methods.",
  preview_denied: "`agent-vm preview KEY PORT` makes a new URL.",
  port_timeout: "`agent-vm net ports KEY` lists the ports that the VM listens on.",
  storage_damaged: "agent-vm call KEY restore '{\"allowMissing\":true}' boots the VM without the lost files.",
  files_read_only:
    "agent-vm call KEY restore '{\"allowMissing\":true}' boots the VM without the lost files; `agent-vm snapshot restore` replaces all files.",
  connection_lost:
    "Start a server with `agent-vm serve`, or name one: --endpoint, AGENT_VM_ENDPOINT, `agent-vm context`.",
};

/** An error for people and scripts. */
export interface ShownFailure {
  code: string;
  message: string;
  /** Details that fit the code. */
  metadata?: Record<string, unknown>;
  hint?: string;
}

/** Describes an error in words of the command line. */
export function describeFailure(error: unknown): ShownFailure {
  if (!(error instanceof AgentVmError))
    return {
      code: isUsageError(error) ? "invalid_argument" : "failed",
      message: error instanceof Error ? error.message : String(error),
    };
  const { code, message } = error;
  const { hint: given, ...metadata } = error.metadata;
  const hint = hintOf(error) ?? given;
  return {
    code,
    message,
    ...(Object.keys(metadata).length > 0 && { metadata }),
    ...(hint !== undefined && { hint }),
  };
}

/** Returns the remedy in words of the command line; `undefined` if the error's own hint fits. */
function hintOf({ code, metadata: { right, key } }: AgentVmError): string | undefined {
  if (code === "forbidden" && right === undefined) {
    const isKey = Array.isArray(key) && key.every((part) => typeof part === "string");
    return isKey
      ? `Ask for a token with this VM: \`agent-vm token create --vm ${keyText(key)} --may RIGHT\`.`
      : undefined;
  }
  return Object.hasOwn(HINTS, code) ? HINTS[code as ErrorCode] : undefined;
}

/** Makes the one line that reports an error. A server or a VM may have written its text. */
export function failureLine(error: unknown): string {
  const { message, hint } = describeFailure(error);
  if (!(error instanceof AgentVmError)) {
    // The doctor's findings have lines of their own. Errors of Node name paths, which a VM may have chosen.
    const isOfNode = error instanceof Error && "code" in error;
    return `agent-vm: ${isOfNode ? printable(message) : printableText(message)}\n`;
  }
  const end = /[.!?]$/.test(message) ? "" : ".";
  return `agent-vm: ${printable(hint === undefined ? message : `${message}${end} ${hint}`)}\n`;
}

/** Makes the line of JSON that reports an error to a script. */
export function failureJson(error: unknown): string {
  return `${jsonLine({ error: describeFailure(error) })}\n`;
}
