import { AgentVmError } from "../../api/errors.ts";
import { CRON_OUTPUT_BYTES } from "../../api/limits.ts";
import type { ExecOptions, ExecResult, OutputStream, SerializableCronAction } from "../../api/types.ts";
import { Tail } from "../processes/tail.ts";
import type { RunRecord } from "./history.ts";
import type { JobDefinition } from "./job.ts";

/** Runs a command to its end: a shell line, or a program where there are arguments. Rejects when it cannot be run. */
export type RunCommand = (
  command: string,
  args: readonly string[] | undefined,
  options: ExecOptions,
  onOutput: (stream: OutputStream, data: Buffer) => void,
) => Promise<ExecResult>;

/** How a prompt in a session of its own ended. */
export interface PromptRun {
  /** `undefined` where none could be opened. */
  sessionId: string | undefined;
  text: string;
  /** What it failed of; `undefined` where it did not. */
  error: unknown;
  timedOut: boolean;
}

/** Runs a prompt in a session of its own, and closes it. Never rejects. */
export type RunPrompt = (
  action: Extract<SerializableCronAction, { type: "session" }>,
  timeoutMs: number | undefined,
) => Promise<PromptRun>;

/** How a run ended. */
export interface RunOutcome extends Pick<RunRecord, "exitCode" | "reason" | "sessionId"> {
  status: "completed" | "failed" | "timeout";
  /** What went wrong, for people. */
  error?: string;
  outputTail: string;
}

/** Does what a job is for. Never rejects. */
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
    const options: ExecOptions = {
      captureStdio: false,
      ...(env && { env }),
      ...(cwd !== undefined && { cwd }),
      ...(timeoutMs !== undefined && { timeout: timeoutMs }),
    };
    const result = await run(command, args, options, (_stream, data) => tail.push(data));
    return { ...outcomeOf(result, timeoutMs), outputTail: tail.text() };
  } catch (error) {
    return { ...failed(error), outputTail: tail.text() };
  }
}

function promptOutcome({ sessionId, text, error, timedOut }: PromptRun, timeoutMs = 0): RunOutcome {
  const tail = new Tail(CRON_OUTPUT_BYTES);
  tail.push(Buffer.from(text, "utf8"));
  const outcome = { outputTail: tail.text(), ...(sessionId !== undefined && { sessionId }) };
  if (timedOut) {
    return { status: "timeout", reason: "timeout", error: `It ran longer than ${timeoutMs} ms`, ...outcome };
  }
  if (error !== undefined) return { ...failed(error), ...outcome };
  return { status: "completed", ...outcome };
}

function outcomeOf({ reason, exitCode }: ExecResult, timeoutMs = 0): Omit<RunOutcome, "outputTail"> {
  if (reason === "vm_stopped") return { ...stopped(), exitCode };
  if (reason === "timeout") {
    return { status: "timeout", exitCode, reason, error: `It ran longer than ${timeoutMs} ms` };
  }
  return { status: "completed", exitCode, ...(reason !== "exit" && { reason }) };
}

/** The VM ended under a run, or before it could begin. */
export function stopped(): Omit<RunOutcome, "outputTail"> {
  return { status: "failed", reason: "vm_stopped", error: "The VM was stopped" };
}

/** The text of an error that was not raised on purpose stays inside. */
function failed(error: unknown): Omit<RunOutcome, "outputTail"> {
  if (error instanceof AgentVmError) {
    return { status: "failed", reason: error.code, error: error.message };
  }
  return { status: "failed", reason: "internal_error", error: "The server failed to run it" };
}
