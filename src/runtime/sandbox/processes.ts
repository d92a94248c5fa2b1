import type { VmProcess } from "../../api/methods/process-types.ts";
import { toBytes } from "../../base/bytes.ts";
import { takeOut } from "../../base/given.ts";

/** Exit code or signal that ended a process. */
export interface ExitStatus {
  /** 128 + n if signal n ended the process. */
  exitCode: number;
  signal: NodeJS.Signals | null;
}

/** Resources that a process tree has used. docs/processes.md describes the measurement and its error. */
export interface ResourceUsage {
  cpuMs: number;
  maxRssBytes: number;
}

/** How a process ended, and what its tree used. */
export interface ProcessEnd extends ExitStatus, ResourceUsage {
  /** The kernel killed the process because memory ran out. */
  oom: boolean;
  /** Processes of the VM that the kernel killed meanwhile because memory ran out. Without a cgroup: of the host. */
  oomKills: number;
}

/** A program, by its path or its name in the VM's PATH, and its arguments. */
export interface ProgramCall {
  command: string;
  args: readonly string[];
}

/** A line for the shell of the VM. */
export interface ShellLine {
  line: string;
}

export interface ProgramOptions {
  /** The whole environment of the command. */
  env: Readonly<Record<string, string>>;
  /** Absolute path of an existing directory. */
  cwd: string;
}

/** A program or a shell line, and its settings. */
export type CommandRequest = ProgramOptions & (ProgramCall | ShellLine);

export type SpawnRequest = CommandRequest & {
  /** `false`: stdin is empty from the start. */
  stdin: boolean;
  /** First input. Stdin stays open after it. */
  input?: TakenInput | undefined;
};

/** Input that a reader takes out. A call that runs for hours does not hold the input that its command has read. */
export class TakenInput {
  #data: Uint8Array | undefined;

  /** Takes `stdin` out of the options of a call, if they are given away. @returns `undefined` without it */
  static of(options: { stdin?: string | Uint8Array }): TakenInput | undefined {
    if (options.stdin === undefined) return undefined;
    const input = new TakenInput(toBytes(options.stdin));
    takeOut(options, "stdin");
    return input;
  }

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  /** Returns the bytes once, then nothing. */
  take(): Uint8Array {
    const data = this.#data ?? new Uint8Array();
    this.#data = undefined;
    return data;
  }
}

/** A process and its descendants. */
export interface ProcessTree {
  /** Process id inside the VM. */
  readonly pid: number;
  /** Sends a signal to the process itself. Does nothing after its end. */
  signal(signal: number): void;
  /** Kills the process and all its descendants, including daemons. */
  killTree(): Promise<void>;
}

export interface SandboxProcess extends ProcessTree {
  /** Sets the listener for output. It gets each piece as it arrives, and may keep the buffer. */
  onOutput(listener: (stream: "stdout" | "stderr", data: Buffer) => void): void;
  /** Sets the listener for the end of stdout: no process can write to it any more. It may precede the process's end. */
  onStdoutEnd(listener: () => void): void;
  /** Stops reading stdout. A process that fills its pipe waits. */
  pauseStdout(): void;
  resumeStdout(): void;
  /** Stops reading stdout and stderr. */
  pauseOutput(): void;
  resumeOutput(): void;
  /** Bytes that the process has not read yet. */
  readonly pendingStdin: number;
  /**
   * Writes to stdin. Does nothing if stdin is closed or no process reads it any more.
   *
   * @throws AgentVmError `ENOSPC` if the VM has no room for further input, of which nothing is written then
   */
  writeStdin(data: Uint8Array): void;
  closeStdin(): void;
  /**
   * Signals the process together with its descendants. A job has the descendants in the process's own session, and ends
   * with the process. A tree also has daemons, and what an ended process has left. SIGKILL: resolves when they are gone.
   */
  signalAll(signal: number, reach: "job" | "tree"): Promise<void>;
  /** Resolves after the process has ended and the listeners have got its output. */
  readonly exited: Promise<ProcessEnd>;
}

/** A process that waits for input and does nothing without it. All of it is the VM's word. */
export interface InputWait {
  pid: number;
  /** Short name that the kernel keeps of its program. */
  command: string;
  /** Pid of the process or terminal that the server has started, for whose input it waits. `undefined`: a terminal of the VM's own. */
  of: number | undefined;
  /** Grows each time that the waiting thread gets the CPU. */
  runs: number;
}

/** Starts programs in a VM, and stops them for a checkpoint. */
export interface SandboxProcesses {
  spawn(request: SpawnRequest): Promise<SandboxProcess>;
  /** Every process inside, as the kernel reports it. */
  list(): Promise<VmProcess[]>;
  /** Processes that wait for their terminal, or for a stdin that the server holds open. */
  inputWaits(): Promise<InputWait[]>;
  /** Number of processes inside. */
  count(): number;
  /** `true` while a process runs in the VM that a command or shell has started. */
  isBusy(): Promise<boolean>;
  /** Stops every process inside. @returns a function that continues the processes that this call stopped */
  freeze(): Promise<() => void>;
  /** Inodes of files that processes inside have mapped shared and for writing. */
  mappedFiles(): Promise<ReadonlySet<number>>;
}
