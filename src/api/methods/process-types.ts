import type { Bytes, Env } from "../values.ts";

/** Options of `exec` and `execArgv`. */
export interface ExecOptions {
  /** Variables, merged over the VM's base environment. @default {} */
  env?: Env;
  /** Working directory, an absolute path. @default "/home/agentos" */
  cwd?: string;
  /** Written to the command's stdin, which is then closed. @default empty */
  stdin?: Bytes;
  /** Milliseconds after which the command's whole process tree is killed; 0 means no timeout. @default 0 */
  timeout?: number;
  /** `false` discards stdout and stderr: both come back empty. @default true */
  captureStdio?: boolean;
  /**
   * Reaction to output beyond `limits.captureBytes`: `truncate` drops the rest and lets the command run on, `kill` kills
   * its process tree. @default "truncate"
   */
  outputLimit?: "truncate" | "kill";
}

/** Why a process is no longer running. */
export type ExitReason =
  /** The process exited by itself. */
  | "exit"
  /** A signal that this API did not send ended the process. */
  | "signal"
  /** The `timeout` option expired. */
  | "timeout"
  /** A signal of stopProcess, killProcess or signalProcess ended the process, or asked it to end before it exited. */
  | "killed"
  /** The kernel killed the process because memory ran out. */
  | "oom"
  /** The output passed the capture limit and `outputLimit: "kill"` was set. */
  | "outputLimit"
  /** The VM was disposed while the process ran. */
  | "vm_stopped";

/** How a command ended, and its output. */
export interface ExecResult {
  /** Exit code of the command; 128 + n when signal n ended it. */
  exitCode: number;
  /** Captured stdout, decoded as UTF-8. Invalid bytes become U+FFFD. */
  stdout: string;
  /** Captured stderr, decoded as UTF-8. Invalid bytes become U+FFFD. */
  stderr: string;
  /** Captured stdout and stderr in the order in which they arrived at the server. Of `exec` at most 4 MiB. */
  output: string;
  /** Name of the signal that ended the command, such as `"SIGKILL"`; `null` when it exited. */
  signal: string | null;
  /** `true` when the `timeout` option ended the command. */
  timedOut: boolean;
  /**
   * Why the command ended: `exit` (by itself), `signal` (a signal of another process), `timeout`, `killed` (a signal of
   * this API), `oom` (memory ran out), `outputLimit`, or `vm_stopped`.
   */
  reason: ExitReason;
  /** `true` when output past the capture limit was dropped. */
  truncated: boolean;
  /** Wall-clock milliseconds from start to end. */
  durationMs: number;
  /** User and system CPU milliseconds of the command's process tree. docs/processes.md gives the accuracy. */
  cpuMs: number;
  /** Largest resident set of any process of the tree, in bytes. docs/processes.md gives the accuracy. */
  maxRssBytes: number;
  /**
   * Processes of the VM that the kernel killed while the command ran, because memory ran out. Without a cgroup the number
   * counts those of the host.
   */
  oomKills: number;
}

/** Options of `spawn` and `spawnProcess`. */
export interface SpawnOptions {
  /** Variables, merged over the VM's base environment. @default {} */
  env?: Env;
  /** Working directory, an absolute path. @default "/home/agentos" */
  cwd?: string;
  /** Written to stdin at once; stdin stays open. @default empty */
  stdin?: Bytes;
  /** `true` records the output of both streams, for `readRecording`. @default false */
  record?: boolean;
}

/** Result of `spawn`. */
export interface SpawnedPid {
  /** Process id inside the VM. */
  pid: number;
  /** Start of the process, in milliseconds since the Unix epoch. With the pid it names this process and no other one. */
  startedAt: number;
}

/** Part of the options of methods that take a pid. After a restart of the VM the kernel gives the same pids again. */
export interface StartedAt {
  /**
   * Start of the process that is meant, in milliseconds since the Unix epoch: `startedAt` of `spawn` or `getProcess`. Another
   * process at the pid is `process_not_found`. @default the newest process of the pid
   */
  startedAt?: number;
}

/** A process that `spawn` or `run` started. */
export interface SpawnedProcessInfo {
  /** Process id inside the VM, as `ps` shows it there. */
  pid: number;
  /** Program as given to `spawn`. */
  command: string;
  /** Arguments as given to `spawn`. */
  args: string[];
  /** `true` until the process has ended. */
  running: boolean;
  /** Exit code; 128 + n when signal n ended the process; `null` while it runs. */
  exitCode: number | null;
  /** Name of the signal that ended the process; `null` when it runs or exited. */
  signal: string | null;
  /** Why the process ended; `null` while it runs. */
  reason: ExitReason | null;
  /** Start, in milliseconds since the Unix epoch. */
  startedAt: number;
  /** End, in milliseconds since the Unix epoch; `null` while the process runs. */
  exitedAt: number | null;
  /**
   * Processes of the VM that the kernel killed while the process ran, because memory ran out; 0 while it runs. Without a
   * cgroup the number counts those of the host.
   */
  oomKills: number;
  /**
   * `true` while the process, or a process that has its stdin, waits for input that `writeProcessStdin` can send. docs/processes.md
   * gives the accuracy.
   */
  waitingForInput: boolean;
}

/** Options of `stopProcess`, `killProcess` and `signalProcess`. */
export interface SignalOptions extends StartedAt {
  /**
   * `true` signals the process with everything that it has started, daemons too, even after its own end. `false` signals
   * only the process itself.
   * @default stopProcess and killProcess: the process and everything it started, except daemons; signalProcess: false
   */
  tree?: boolean;
}

/** An output stream of a process. */
export type OutputStream = "stdout" | "stderr";

/** A piece of a process's output. */
export interface OutputChunk {
  /** Stream that the process wrote to. */
  stream: OutputStream;
  /** Bytes as written. */
  data: Uint8Array;
  /** Number of the chunk: counts the chunks of one process from 0, over both streams. */
  seq: number;
}

/** Options of `readShell`. */
export interface ReadOutputOptions {
  /** Only chunks whose `seq` is greater. @default -1, every kept chunk */
  after?: number;
}

/** Options of `readProcessOutput`. */
export interface ReadProcessOptions extends ReadOutputOptions, StartedAt {}

/** Kept output of a process. */
export interface ProcessOutput {
  /** Chunks, oldest first. The VM keeps the newest MiB of each process. */
  chunks: OutputChunk[];
  /** `true` when chunks after `after` are no longer kept. */
  truncated: boolean;
  /** `true` until the process has ended. */
  running: boolean;
  /** Exit code; `null` while the process runs. */
  exitCode: number | null;
}

/** A process of the VM, started by a method or by another process. */
export interface VmProcess {
  /** Process id inside the VM. */
  pid: number;
  /** Process id of the parent; 0 when the parent is outside the VM. */
  ppid: number;
  /** Short name that the kernel keeps, at most 15 bytes. */
  command: string;
  /** Command line, the program included. */
  args: string[];
  /** Name of the user that the process runs as. */
  user: string;
  /** State, one letter as in `ps`: R, S, D, T, Z, ... */
  state: string;
  /** Resident set in bytes. */
  rss: number;
  /** CPU milliseconds of the process, and of children that have ended and for which it has waited. */
  cpuMs: number;
  /**
   * `true` while the process does nothing but wait for input: of its terminal, or of a stdin that a client holds open.
   * docs/processes.md gives the accuracy.
   */
  waitingForInput: boolean;
}

/** A process with the processes that it started. */
export interface VmProcessNode extends VmProcess {
  /** Processes whose parent is this process. */
  children: VmProcessNode[];
}
