import type { Server, Socket } from "node:net";
import type { VmPort, VmProcess } from "../../api/types.ts";
import type { FileSystem } from "./files.ts";

/** The one user of a VM, and what a command of theirs finds. */
export const VM_USER = "agentos";
export const VM_UID = 1000;
export const VM_HOME = "/home/agentos";
export const VM_HOSTNAME = "agentos";

/** The server's own Node lies first in the VM's PATH. */
export const NODE_FOLDER = "/opt/agentos";
export const VM_NODE = `${NODE_FOLDER}/bin/node`;
export const VM_PATH = `${NODE_FOLDER}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

/** How a process ended: by an exit code, or by a signal. */
export interface ExitStatus {
  /** 128 + n when signal n ended it. */
  exitCode: number;
  signal: NodeJS.Signals | null;
}

/** What a process tree has used; see docs/processes.md for how it is measured and its error. */
export interface ResourceUsage {
  cpuMs: number;
  maxRssBytes: number;
}

export interface CommandRequest {
  /** A program found in the VM's PATH, or a path. */
  command: string;
  args: readonly string[];
  /** The whole environment of the command. */
  env: Readonly<Record<string, string>>;
  /** Absolute path of an existing directory. */
  cwd: string;
}

export interface SpawnRequest extends CommandRequest {
  /** `false`: stdin is empty from the start. */
  stdin: boolean;
}

export interface TerminalRequest extends CommandRequest {
  cols: number;
  rows: number;
}

/** A process and all that descends from it. */
export interface ProcessTree {
  /** Process id inside the VM. */
  readonly pid: number;
  /** Sends a signal to the process itself; nothing once it has ended. */
  signal(signal: number): void;
  /** Kills the process and everything that descends from it, daemons too. */
  killTree(): Promise<void>;
}

export type OutputListener = (data: Buffer) => void;

export interface SandboxProcess extends ProcessTree {
  /** Called with each piece of output as it arrives; the buffer is the listener's to keep. */
  onOutput(listener: (stream: "stdout" | "stderr", data: Buffer) => void): void;
  /** Called once nobody can write to stdout any more, which may be before the process ends. */
  onStdoutEnd(listener: () => void): void;
  /** Stops reading stdout, so that a process that writes more than its pipe holds waits, and goes on with it. */
  pauseStdout(): void;
  resumeStdout(): void;
  /** Bytes that the process has not read yet. */
  readonly pendingStdin: number;
  /** Ignored once stdin is closed or nobody reads it any more. */
  writeStdin(data: Uint8Array): void;
  closeStdin(): void;
  /** Resolves once, after the process has ended and the output it wrote has been handed out. */
  readonly exited: Promise<ExitStatus & ResourceUsage & { oom: boolean }>;
}

export interface SandboxTerminal extends ProcessTree {
  onOutput(listener: OutputListener): void;
  readonly pendingInput: number;
  write(data: Uint8Array): void;
  resize(cols: number, rows: number): void;
  /** Hangs up the terminal's whole session, and frees the terminal. */
  hangup(): Promise<void>;
  /** Resolves once, after the last output. */
  readonly exited: Promise<ExitStatus>;
}

export interface ConnectOptions {
  /** @default 4, and 6 where nobody listens there */
  family?: 4 | 6;
  signal?: AbortSignal;
}

/** A socket that listens inside. */
export type ListeningSocket = VmPort;

/** What of a VM's network the server reaches: its loopback, which is all there is. */
export interface SandboxNetwork {
  /**
   * A connection to a port of the loopback inside; whoever asked for it closes it.
   *
   * @throws AgentVmError with the kernel's code, such as `ECONNREFUSED`.
   */
  connect(port: number, options?: ConnectOptions): Promise<Socket>;
  /** A server on a free port of 127.0.0.1 inside, whose connections arrive here. */
  listen(): Promise<Server>;
  listening(): Promise<ListeningSocket[]>;
  /** Process id inside of whoever holds the other end of a connection to such a server; `undefined` where none is found. */
  holderOf(connection: Socket): Promise<number | undefined>;
}

export interface FileWatchRequest {
  /** As the subscriber names it. */
  path: string;
  /** The same without links on the way. */
  realPath: string;
  recursive: boolean;
  /** Names that are passed over, with all below. */
  exclude: readonly string[];
}

/** What has happened to something that is watched. */
export type FileWatchChange =
  | { type: "created" | "modified" | "deleted"; path: string; isDirectory: boolean }
  | { type: "renamed"; path: string; oldPath: string; isDirectory: boolean }
  /** Something is lost: what is watched has to be looked at anew. */
  | { type: "overflow"; path: string }
  /** The watch is over: nothing more comes of it. */
  | { type: "ended"; path: string };

export interface FileWatchSink {
  tell(change: FileWatchChange): void;
  /** What to wait for before more changes are looked for; `null` where there is room. */
  drained(): Promise<void> | null;
}

export interface FileWatch {
  close(): void;
}

/** What a VM runs in. The kernel sandbox is one; a memory file tree without processes is another. */
export interface Sandbox {
  readonly files: FileSystem;
  readonly network: SandboxNetwork;
  spawn(request: SpawnRequest): Promise<SandboxProcess>;
  terminal(request: TerminalRequest): Promise<SandboxTerminal>;
  /**
   * Watches a file or directory; resolves once it does.
   *
   * @throws AgentVmError with a POSIX code, `limit_exceeded`, or `watch_unavailable` where the host cannot
   */
  watch(request: FileWatchRequest, sink: FileWatchSink): Promise<FileWatch>;
  /** Every process inside, as the kernel tells it. */
  processes(): Promise<VmProcess[]>;
  /** Whether anything runs inside that a command or shell has started. */
  isBusy(): Promise<boolean>;
  /** Stops every process inside; the answer lets those go on that had not been stopped before. */
  freeze(): Promise<() => void>;
  /** Inodes of files that processes inside have mapped shared and for writing. */
  mappedFiles(): Promise<ReadonlySet<number>>;
  /** Kills every process inside. Its files stay until `dispose`. */
  halt(): Promise<void>;
  /** Settles when the sandbox has ended without being disposed. */
  readonly crashed: Promise<Error>;
  /** Ends every process and releases everything. Idempotent. */
  dispose(): Promise<void>;
}

/** A kind of sandbox, and what it takes to start one. */
export interface SandboxFactory {
  /** Shell of `exec` and openShell in its VMs. */
  readonly shell: string;
  /** One line for the banner, e.g. `"kernel sandbox (user, mount, pid, net, ipc, uts namespaces)"`. */
  readonly isolation: string;
  /** What of the host its VMs can see, for the banner. */
  readonly visible: string;
  boot(signal: AbortSignal): Promise<Sandbox>;
}
