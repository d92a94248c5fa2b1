import { z } from "zod";
import { MAX_ARGUMENTS_BYTES, MAX_FOLLOW_WAIT_MS } from "../limits.ts";
import {
  args,
  argument,
  type Bytes,
  bool,
  bytes,
  cwd,
  type Env,
  env,
  fitsCommand,
  integer,
  options,
  pid,
  program,
  type Signal,
  signal,
  timeout,
  WHOLE,
} from "../values.ts";
import { type CallsOf, type Input, methodsOf, takes } from "./method.ts";
import type {
  ExecOptions,
  ExecResult,
  ProcessOutput,
  ReadProcessOptions,
  SignalOptions,
  SpawnedPid,
  SpawnedProcessInfo,
  SpawnOptions,
  StartedAt,
  VmProcess,
  VmProcessNode,
} from "./process-types.ts";

const commandsMethod = methodsOf("commands");
const method = methodsOf("processes");

const COMMAND_TOO_LONG = {
  error: `${WHOLE}A command's arguments and variables are too long: they may have at most ${MAX_ARGUMENTS_BYTES} bytes together`,
  path: [0],
};

/** Refuses arguments and variables that are too long together for execve(2). */
export function fitting<Args extends readonly unknown[]>(
  input: Input<Args>,
  command: (given: Args) => [argv: readonly string[], variables: Env | undefined],
): Input<Args> {
  return { ...input, args: input.args.refine((given) => fitsCommand(...command(given)), COMMAND_TOO_LONG) };
}

const processOptions = { env: env.optional(), cwd: cwd.optional(), stdin: bytes.optional() };
const outputLimit = z.enum(["truncate", "kill"], { error: '"truncate" or "kill"' }).optional();
const runOptions = {
  ...processOptions,
  timeout: timeout.optional(),
  outputLimit,
  openStdin: bool.optional(),
  record: bool.optional(),
};
const execOptions = options({
  ...processOptions,
  timeout: timeout.optional(),
  captureStdio: bool.optional(),
  outputLimit,
}).optional();
const spawnInput = fitting(
  takes(
    ["command", program],
    ["args", args.optional()],
    ["options", options({ ...processOptions, record: bool.optional() }).optional()],
  ),
  ([command, rest = [], given]) => [[command, ...rest], given?.env],
);

const startedAt = integer(
  0,
  Number.MAX_SAFE_INTEGER,
  "a non-negative integer of milliseconds since the Unix epoch",
).optional();

const sameProcess = options({ startedAt }).optional();
const signalOptions = options({ tree: bool.optional(), startedAt }).optional();

/** Options of `startRun`. */
export const startRunOptions = options(runOptions).optional();

const after = integer(-1, Number.MAX_SAFE_INTEGER, "an integer from -1").optional();

/** Options of `readShell`. */
export const readOptions = options({ after }).optional();

/** Options of `followProcess`. */
export const followOptions = options({
  after,
  waitMs: integer(0, MAX_FOLLOW_WAIT_MS, `an integer from 0 to ${MAX_FOLLOW_WAIT_MS}`).optional(),
  hold: bool.optional(),
  startedAt,
}).optional();

/** Process methods. A pid is the process id inside the VM. */
export const PROCESS_METHODS = {
  /**
   * Runs a shell line to its end. A non-zero exit code does not throw.
   *
   * @param command line for the VM's shell, at most 131,071 bytes
   * @param options environment, working directory, stdin, timeout and capture
   * @returns exit code, output and resource usage
   * @throws AgentVmError `ENOENT` when the working directory is missing; `vm_stopped` when the VM stops meanwhile
   * @example
   * ```ts
   * const { stdout, exitCode } = await agent.exec("npm test", { cwd: "/workspace", timeout: 60_000 });
   * ```
   */
  exec: commandsMethod<(command: string, options?: ExecOptions) => Promise<ExecResult>>()({
    right: "exec",
    input: fitting(takes(["command", argument()], ["options", execOptions]), ([command, given]) => [
      [command],
      given?.env,
    ]),
    boots: true,
    long: true,
    signal: true,
  }),
  /**
   * Runs a program with exactly these arguments, without a shell, to its end. A non-zero exit code does not throw.
   *
   * @param command name or path of a program
   * @param args arguments, passed on unchanged. @default []
   * @param options environment, working directory, stdin, timeout and capture
   * @returns exit code, output and resource usage; exit code 127 when there is no such program
   * @throws AgentVmError `ENOENT` when the working directory is missing; `vm_stopped` when the VM stops meanwhile
   */
  execArgv: commandsMethod<
    (command: string, args?: readonly string[], options?: ExecOptions) => Promise<ExecResult>
  >()({
    right: "exec",
    input: fitting(
      takes(["command", program], ["args", args.optional()], ["options", execOptions]),
      ([command, rest = [], given]) => [[command, ...rest], given?.env],
    ),
    boots: true,
    long: true,
    signal: true,
  }),
  /**
   * Starts a program and returns at once. Its output arrives as `processOutput` events, its end as `processExit`.
   *
   * @param command name or path of a program
   * @param args arguments, passed on unchanged. @default []
   * @param options environment, working directory, first stdin and `record`
   * @returns the process id inside the VM, and the start, which tells the process from a later one at its pid
   * @throws AgentVmError `ENOENT` when the working directory is missing. A missing program is exit code 127 instead
   */
  spawn: method<(command: string, args?: string[], options?: SpawnOptions) => Promise<SpawnedPid>>()({
    right: "exec",
    input: spawnInput,
    boots: true,
  }),
  /**
   * Starts a program like `spawn`, but returns the bare process id.
   *
   * @param command name or path of a program
   * @param args arguments, passed on unchanged. @default []
   * @param options environment, working directory, first stdin and `record`
   * @throws AgentVmError `ENOENT` when the working directory is missing. A missing program is exit code 127 instead
   */
  spawnProcess: method<(command: string, args?: string[], options?: SpawnOptions) => Promise<number>>()({
    right: "exec",
    input: spawnInput,
    boots: true,
  }),
  /** Lists the processes that `spawn` or `run` started, in order of their start. The newest 1,024 ended processes stay listed. */
  listProcesses: method<() => Promise<SpawnedProcessInfo[]>>()({
    right: "exec",
    input: takes(),
    reads: true,
  }),
  /**
   * Describes a process that `spawn` or `run` started.
   *
   * @param pid process id that `spawn` returned
   * @throws AgentVmError `process_not_found`
   */
  getProcess: method<(pid: number) => Promise<SpawnedProcessInfo>>()({
    right: "exec",
    input: takes(["pid", pid]),
    reads: true,
  }),
  /**
   * Writes to the stdin of a spawned process. Ignored after the process has ended or its stdin was closed.
   *
   * @param pid process id that `spawn` returned
   * @param data bytes, or a string that is encoded as UTF-8
   * @param options `startedAt`: no other process at the pid
   * @throws AgentVmError `process_not_found`; `limit_exceeded` when 32 MiB wait to be read
   */
  writeProcessStdin: method<(pid: number, data: Bytes, options?: StartedAt) => Promise<void>>()({
    right: "exec",
    input: takes(["pid", pid], ["data", bytes], ["options", sameProcess]),
  }),
  /**
   * Closes the stdin of a spawned process after everything written before. A second close does nothing.
   *
   * @param pid process id that `spawn` returned
   * @param options `startedAt`: no other process at the pid
   * @throws AgentVmError `process_not_found`
   */
  closeProcessStdin: method<(pid: number, options?: StartedAt) => Promise<void>>()({
    right: "exec",
    input: takes(["pid", pid], ["options", sameProcess]),
  }),
  /**
   * Waits for the end of a spawned process. Any number of callers may wait.
   *
   * @param pid process id that `spawn` returned
   * @param options `startedAt`: no other process at the pid
   * @returns the exit code; 128 + n when signal n ended the process
   * @throws AgentVmError `process_not_found`
   */
  waitProcess: method<(pid: number, options?: StartedAt) => Promise<number>>()({
    right: "exec",
    input: takes(["pid", pid], ["options", sameProcess]),
    reads: true,
    long: true,
    signal: true,
  }),
  /**
   * Sends SIGTERM to a spawned process and to everything it started, except daemons, as Ctrl-C in a terminal reaches a whole
   * job. Does nothing after the process has ended.
   *
   * @param pid process id that `spawn` returned
   * @param options `tree`: also daemons, or only the process; `startedAt`: no other process at the pid
   * @throws AgentVmError `process_not_found`
   */
  stopProcess: method<(pid: number, options?: SignalOptions) => Promise<void>>()({
    right: "exec",
    input: takes(["pid", pid], ["options", signalOptions]),
  }),
  /**
   * Sends SIGKILL to a spawned process and to everything it started, except daemons. Resolves when they are gone. Does
   * nothing after the process has ended.
   *
   * @param pid process id that `spawn` returned
   * @param options `tree`: also daemons, or only the process; `startedAt`: no other process at the pid
   * @throws AgentVmError `process_not_found`
   */
  killProcess: method<(pid: number, options?: SignalOptions) => Promise<void>>()({
    right: "exec",
    input: takes(["pid", pid], ["options", signalOptions]),
  }),
  /**
   * Sends a signal to a spawned process, not to its children. Does nothing after the process has ended.
   *
   * @param pid process id that `spawn` returned
   * @param signal name (`"SIGHUP"` or `"HUP"`) or number from 0 to 64
   * @param options `tree`: also everything that the process has started; `startedAt`: no other process at the pid
   * @throws AgentVmError `process_not_found`
   */
  signalProcess: method<(pid: number, signal: Signal, options?: SignalOptions) => Promise<void>>()({
    right: "exec",
    input: takes(["pid", pid], ["signal", signal], ["options", signalOptions]),
  }),
  /** Lists every process of the VM, also processes that no method started. */
  allProcesses: method<() => Promise<VmProcess[]>>()({
    right: "exec",
    input: takes(),
    boots: true,
    reads: true,
  }),
  /** Lists every process of the VM with its `children`. A process whose parent is outside the VM is a root. */
  processTree: method<() => Promise<VmProcessNode[]>>()({
    right: "exec",
    input: takes(),
    boots: true,
    reads: true,
  }),
  /**
   * Returns kept output of a spawned process, such as output that a subscription missed.
   *
   * @param pid process id that `spawn` returned
   * @param options `after`: number of the last chunk that the caller has; `startedAt`: no other process at the pid
   * @throws AgentVmError `process_not_found`
   */
  readProcessOutput: method<(pid: number, options?: ReadProcessOptions) => Promise<ProcessOutput>>()({
    right: "exec",
    input: takes(["pid", pid], ["options", options({ after, startedAt }).optional()]),
    reads: true,
  }),
};

export type ProcessMethods = CallsOf<typeof PROCESS_METHODS>;
