import { AgentVmError } from "../api/errors.ts";
import { MAX_FOLLOW_WAIT_MS, MAX_TIMEOUT_MS } from "../api/limits.ts";
import type { ExecOptions, ExecResult, OutputChunk, StartedAt } from "../api/methods/process-types.ts";
import type { FollowedOutput } from "../api/methods/transport.ts";
import { within } from "../base/within.ts";
import { KILL_WAIT_MS } from "./limits.ts";
import { abortSignal, anything, callback, checkOptions, flag, type Rule, type Rules } from "./options.ts";
import { RunOutput } from "./run-output.ts";
import type { Invoke } from "./transfer.ts";
import { checkCrossing } from "./wire.ts";

/** Receives text of one stream: whole characters, in order. If it returns a promise, the next text waits for it. */
export type TextListener = (text: string) => unknown;

/** Receives bytes of both streams in order. If it returns a promise, the next piece waits for it. */
export type OutputListener = (chunk: OutputChunk) => unknown;

/** Options of `attach`. */
export interface AttachOptions extends StartedAt {
  /** Number of the last chunk that the caller has: `after` of an earlier answer. @default -1, all output that is kept */
  after?: number;
  /** Called with each piece of stdout. @default not called */
  onStdout?: TextListener;
  /** Called with each piece of stderr. @default not called */
  onStderr?: TextListener;
  /** Called with each piece of both streams as bytes. If it returns a promise, the next piece waits for it. @default not called */
  onOutput?: OutputListener;
  /** Answers `{ running: true, pid, ... }` after this many milliseconds, while the command goes on. @default waits for its end */
  yieldAfterMs?: number;
  /** `false` leaves `stdout`, `stderr` and `output` of the answer empty. @default true */
  captureStdio?: boolean;
  /** Stops the wait when it aborts: `attach` rejects with the signal's reason, and the command goes on. @default none */
  signal?: AbortSignal;
}

/** Options of `run` and `runArgv`. */
export interface RunOptions extends ExecOptions, Omit<AttachOptions, "after" | "startedAt" | "signal"> {
  /**
   * Kills the command's whole process tree when it aborts, and then rejects with the signal's reason. A listener that throws
   * does so too. @default none
   */
  signal?: AbortSignal;
  /** `true` leaves stdin open for `writeProcessStdin` and `closeProcessStdin`. @default false */
  openStdin?: boolean;
  /** `true` records the output of both streams, for `readRecording`. @default false */
  record?: boolean;
  /** Called with the process id and `startedAt`, milliseconds since the Unix epoch, when the command has started. @default not called */
  onStart?: (pid: number, startedAt: number) => void;
}

/** The call waits for the command's end. */
interface ToItsEnd {
  /** Absent: the call answers at the command's end. */
  yieldAfterMs?: undefined;
}

/** A command of `run` or `attach` that has ended. Its output begins where the call began. */
export interface RunResult extends ExecResult {
  /** Always `false`. */
  running: false;
  /** Process id inside the VM. */
  pid: number;
  /** Start of the command, in milliseconds since the Unix epoch. With the pid it names this command and no other one. */
  startedAt: number;
}

/** A command that goes on after `yieldAfterMs`. */
export interface RunningCommand extends Pick<ExecResult, "stdout" | "stderr" | "output" | "truncated"> {
  /** Always `true`. */
  running: true;
  /** Process id inside the VM, for `attach`, `stopProcess` and the other process methods. */
  pid: number;
  /** Start of the command, in milliseconds since the Unix epoch. `attach(pid, { startedAt })` follows no other command at the pid. */
  startedAt: number;
  /** Number of the last chunk of this answer. `attach(pid, { after })` continues behind it. */
  after: number;
}

/** Commands that stream, stop and continue: methods of handles and connections. */
export interface RunMethods {
  /**
   * Runs a shell line like `exec`, and passes its output to `onStdout` and `onStderr` while it runs: complete, in order, and
   * each byte once, also over a broken connection. An abort kills the whole process tree.
   *
   * @param command line for the VM's shell, at most 131,071 bytes
   * @param options those of `exec`, listeners and `signal`
   * @returns exit code, output and resource usage, after the last output
   * @throws the signal's reason; AgentVmError as `exec`; `call_lost` if the VM has restarted and the command's end is not known
   * @example
   * ```ts
   * const { exitCode } = await agent.run("npm test", { onStdout: (text) => process.stdout.write(text), signal });
   * ```
   */
  run(command: string, options?: RunOptions & ToItsEnd): Promise<RunResult>;
  /**
   * Runs a shell line like `exec`, and answers after `yieldAfterMs` at the latest. The command then goes on, and `attach`
   * continues its output.
   *
   * @param command line for the VM's shell, at most 131,071 bytes
   * @param options those of `exec`, listeners, `signal` and `yieldAfterMs`
   * @returns `running: false` with the result, or `running: true` with the pid and the output so far
   * @throws the signal's reason; AgentVmError as `exec`
   * @example
   * ```ts
   * let step = await agent.run("npm run build", { yieldAfterMs: 10_000 });
   * while (step.running) {
   *   const { pid, after, startedAt } = step;
   *   step = await agent.attach(pid, { after, startedAt, yieldAfterMs: 10_000 });
   * }
   * ```
   */
  run(command: string, options?: RunOptions): Promise<RunResult | RunningCommand>;
  /**
   * Runs a program like `execArgv`, with exactly these arguments and no shell, and streams its output as `run` does.
   *
   * @param command name or path of a program
   * @param args arguments, passed on unchanged. @default []
   * @param options those of `execArgv`, listeners and `signal`
   * @returns exit code, output and resource usage, after the last output
   * @throws the signal's reason; AgentVmError as `execArgv`
   */
  runArgv(command: string, args?: readonly string[], options?: RunOptions & ToItsEnd): Promise<RunResult>;
  /**
   * Runs a program like `execArgv`, and answers after `yieldAfterMs` at the latest, as `run` does.
   *
   * @param command name or path of a program
   * @param args arguments, passed on unchanged. @default []
   * @param options those of `execArgv`, listeners, `signal` and `yieldAfterMs`
   * @returns `running: false` with the result, or `running: true` with the pid and the output so far
   * @throws the signal's reason; AgentVmError as `execArgv`
   */
  runArgv(
    command: string,
    args?: readonly string[],
    options?: RunOptions,
  ): Promise<RunResult | RunningCommand>;
  /**
   * Follows a process that `run` or `spawn` started to its end. The answer has the output behind `after`.
   *
   * @param pid process id that `run` or `spawn` returned
   * @param options `after`, `startedAt`, listeners and `signal`, which stops only the wait
   * @returns exit code, output and resource usage, after the last output
   * @throws the signal's reason; AgentVmError `process_not_found`, also if another process has the pid since a restart of the VM
   */
  attach(pid: number, options?: AttachOptions & ToItsEnd): Promise<RunResult>;
  /**
   * Follows a process that `run` or `spawn` started, and answers after `yieldAfterMs` at the latest.
   *
   * @param pid process id that `run` or `spawn` returned
   * @param options `after`, `startedAt`, listeners, `yieldAfterMs` and `signal`, which stops only the wait
   * @returns `running: false` with the result, or `running: true` with the output behind `after`
   * @throws the signal's reason; AgentVmError `process_not_found`, also if another process has the pid since a restart of the VM
   */
  attach(pid: number, options?: AttachOptions): Promise<RunResult | RunningCommand>;
}

const FOLLOW_OPTIONS = {
  onStdout: callback,
  onStderr: callback,
  onOutput: callback,
  yieldAfterMs: [
    (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_TIMEOUT_MS,
    `an integer of milliseconds from 0 to ${MAX_TIMEOUT_MS}`,
  ],
  captureStdio: flag,
  signal: abortSignal,
} satisfies Record<string, Rule>;
const ATTACH_OPTIONS: Rules<AttachOptions> = { after: anything, startedAt: anything, ...FOLLOW_OPTIONS };
/** Options of the command itself. The server checks their values. */
const COMMAND_OPTIONS = {
  env: anything,
  cwd: anything,
  stdin: anything,
  timeout: anything,
  outputLimit: anything,
  openStdin: anything,
  record: anything,
};
const RUN_OPTIONS: Rules<RunOptions> = { ...COMMAND_OPTIONS, onStart: callback, ...FOLLOW_OPTIONS };

/** A process that a call follows. After a restart of the VM its pid may be another process's. */
interface Followed extends StartedAt {
  pid: number;
  /** Whether the server has lost the process, or a call that followed it. */
  isLost?: boolean;
}

/** Starts a command and follows it. @param args `null` if the command is a shell line */
export async function run(
  invoke: Invoke,
  command: string,
  args: readonly string[] | null,
  given?: RunOptions,
): Promise<RunResult | RunningCommand> {
  const action = args === null ? "run" : "runArgv";
  checkOptions(action, given, RUN_OPTIONS);
  const options = given ?? {};
  const { signal } = options;
  signal?.throwIfAborted();
  const rest = Object.entries(options).filter(([name]) => Object.hasOwn(COMMAND_OPTIONS, name));
  checkCrossing(action, args === null ? [command, options.env] : [command, args, options.env]);
  // Not abandoned by an abort: the command may have begun, and then has to be killed.
  const started = (await invoke("startRun", [command, args, Object.fromEntries(rest)])) as Followed;
  // An older server does not answer `startedAt`, and refuses it.
  const { pid, startedAt } = started;
  const process: Followed = { pid, startedAt };
  try {
    options.onStart?.(pid, startedAt as number);
    return await follow(invoke, process, options);
  } catch (error) {
    // An abort, a listener that threw, or a server that no longer answers. Nobody follows the command any more.
    await killTree(invoke, process);
    if (process.isLost && codeOf(error) === "process_not_found") {
      throw new AgentVmError("call_lost", `The VM has restarted: how process ${pid} ended is lost`, { pid });
    }
    throw error;
  }
}

/** Follows a process until its end, or for `yieldAfterMs`. */
export async function attach(
  invoke: Invoke,
  pid: number,
  options?: AttachOptions,
): Promise<RunResult | RunningCommand> {
  checkOptions("attach", options, ATTACH_OPTIONS);
  const { startedAt, ...rest } = options ?? {};
  checkCrossing("attach", [pid, rest.after, startedAt]);
  return await follow(invoke, { pid, ...startOf({ startedAt }) }, rest);
}

async function follow(
  invoke: Invoke,
  process: Followed,
  { after: seen = -1, yieldAfterMs, signal, ...options }: Omit<AttachOptions, "startedAt">,
): Promise<RunResult | RunningCommand> {
  const { pid } = process;
  let { startedAt } = process;
  const output = new RunOutput(options);
  const yieldAt = performance.now() + (yieldAfterMs ?? Number.POSITIVE_INFINITY);
  for (let after = seen; ; ) {
    const left = Math.max(0, Math.ceil(yieldAt - performance.now()));
    const request = {
      after,
      waitMs: Math.min(left, MAX_FOLLOW_WAIT_MS),
      hold: left > 0,
      ...startOf({ startedAt }),
    };
    const part = (await invoke("followProcess", [pid, request], signal).catch((error: unknown) => {
      process.isLost = ["call_lost", "process_not_found"].includes(String(codeOf(error)));
      throw error;
    })) as FollowedOutput;
    // The next question must not reach another process at the pid.
    startedAt ??= part.startedAt;
    signal?.throwIfAborted();
    if (part.truncated) output.truncated = true;
    for (const chunk of part.chunks) {
      await options.onOutput?.(chunk);
      await output.push(chunk, part.captureBytes);
      after = chunk.seq;
      signal?.throwIfAborted();
    }
    if (part.end !== null) {
      await output.end();
      return { ...part.end, ...output.texts, running: false, pid, startedAt };
    }
    if (left === 0) return { running: true, pid, startedAt, after, ...output.texts };
  }
}

/** Resolves when the tree is gone, or after KILL_WAIT_MS: a server that cannot be reached must not hold the caller up. */
async function killTree(invoke: Invoke, process: Followed): Promise<void> {
  // Without its start the process cannot be told from another client's process at its pid.
  if (process.isLost && process.startedAt === undefined) return;
  const options = { tree: true, ...startOf(process) };
  const killed = invoke("killProcess", [process.pid, options]).catch(() => undefined);
  await within(killed, KILL_WAIT_MS);
}

/** Returns the option that tells a process from others at its pid, if the server knows the option. */
function startOf({ startedAt }: StartedAt): StartedAt {
  return startedAt === undefined ? {} : { startedAt };
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null | undefined)?.code;
}
