import { AgentVmError } from "../../api/errors.ts";
import type { SerializableCronAction } from "../../api/methods/cron-types.ts";
import type { ExecOptions, ExecResult, OutputStream } from "../../api/methods/process-types.ts";
import { Tail } from "../../base/tail.ts";
import type { PromptOnce } from "../sessions/sessions.ts";
import type { JobDefinition } from "./cron-job.ts";
import type { RunRecord } from "./history.ts";
import { CRON_OUTPUT_BYTES } from "./limits.ts";

/** Runs a command to its end: a shell line, or a program if `args` is given. Rejects if it cannot start. */
export type RunCommand = (
  command: string,
  args: readonly string[] | undefined,
  options: ExecOptions,
  onOutput: (stream: OutputStream, data: Buffer) => void,
) => Promise<ExecResult>;

/** Runs a prompt in a new session, and closes the session. Never rejects. */
export type RunPrompt = (
  action: Extract<SerializableCronAction, { type: "session" }>,
  timeoutMs: number | undefined,
) => Promise<PromptOnce>;

/** How a run ended. */
export interface RunOutcome extends Pick<RunRecord, "exitCode" | "reason" | "sessionId"> {
  status: "completed" | "failed" | "timeout";
  /** Message of the failure. */
  error?: string;
  outputTail: string;
}

/** Runs a job's action. Never rejects. */
export async function runAction(
  { action, timeoutMs }: JobDefinition,
  { run, prompt }: { run: RunCommand; prompt: RunPrompt },
): Promise<RunOutcome> {
  if (action.type === "exec") return runCommand(action, timeoutMs, run);
  return promptOutcome(await prompt(action, timeoutMs), timeoutMs);
}

async function runCommand(
  { command, args, env, cwd }: Extract<SerializableCronAction, { type: "exec" }>,
  timeoutMs: number | undefined,
  run: RunCommand,
): Promise<RunOutcome> {
  const tail = new Tail(CRON_OUTPUT_BYTES);
  try {
    const options: ExecOptions = { captureStdio: false, env, cwd, timeout: timeoutMs };
    const result = await run(command, args, options, (_stream, data) => tail.push(data));
    return { ...outcomeOf(result, timeoutMs), outputTail: tail.text() };
  } catch (error) {
    return { ...failed(error), outputTail: tail.text() };
  }
}

function promptOutcome({ sessionId, text, error, timedOut }: PromptOnce, timeoutMs = 0): RunOutcome {
  const tail = new Tail(CRON_OUTPUT_BYTES);
  tail.push(Buffer.from(text, "utf8"));
  const outcome = { outputTail: tail.text(), sessionId };
  if (timedOut) {
    return {
      status: "timeout",
      reason: "timeout",
      error: `The run took longer than ${timeoutMs} ms`,
      ...outcome,
    };
  }
  if (error !== undefined) return { ...failed(error), ...outcome };
  return { status: "completed", ...outcome };
}

function outcomeOf({ reason, exitCode }: ExecResult, timeoutMs = 0): Omit<RunOutcome, "outputTail"> {
  if (reason === "vm_stopped") return { ...stopped(), exitCode };
  if (reason === "timeout") {
    return { status: "timeout", exitCode, reason, error: `The run took longer than ${timeoutMs} ms` };
  }
  return { status: "completed", exitCode, ...(reason !== "exit" && { reason }) };
}

/** Outcome of a run if the VM ends first. */
export function stopped(): Omit<RunOutcome, "outputTail"> {
  return { status: "failed", reason: "vm_stopped", error: "The VM was stopped" };
}

/** Hides the message of an internal error. */
function failed(error: unknown): Omit<RunOutcome, "outputTail"> {
  if (error instanceof AgentVmError) {
    return { status: "failed", reason: error.code, error: error.message };
  }
  return { status: "failed", reason: "internal_error", error: "The server failed to run the job" };
}
