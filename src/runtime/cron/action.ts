import { AgentVmError } from "../../api/errors.ts";
import type { ExecOptions, ExecResult, OutputStream } from "../../api/types.ts";
import type { RunRecord } from "./history.ts";
import type { JobDefinition } from "./job.ts";
import { Tail } from "./tail.ts";

/** Runs a command to its end: a shell line, or a program where there are arguments. Rejects when it cannot be run. */
export type RunCommand = (
  command: string,
  args: readonly string[] | undefined,
  options: ExecOptions,
  onOutput: (stream: OutputStream, data: Buffer) => void,
) => Promise<ExecResult>;

/** How a run ended. */
export interface RunOutcome extends Pick<RunRecord, "exitCode" | "reason"> {
  status: "completed" | "failed" | "timeout";
  /** What went wrong, for people. */
  error?: string;
  outputTail: string;
}

/** Does what a job is for. Never rejects. */
export async function runAction(definition: JobDefinition, run: RunCommand): Promise<RunOutcome> {
  const tail = new Tail();
  try {
    const { action, timeoutMs } = definition;
    if (action.type !== "exec") throw new TypeError(`no such action: ${action.type}`);
    const { command, args, env, cwd } = action;
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
