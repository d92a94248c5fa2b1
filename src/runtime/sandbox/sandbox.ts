import type { Socket as DatagramSocket } from "node:dgram";
import type { Server, Socket } from "node:net";
import { type Capability, notSupported } from "../../api/errors.ts";
import type { VmPort } from "../../api/methods/network.ts";
import type { VmProcess } from "../../api/methods/process-types.ts";
import type { VmLimits } from "../options.ts";
import type { FileSystem } from "./files.ts";
import type { SandboxMounts } from "./mounts.ts";

/** The only user of a VM. */
export const VM_USER = "agentos";
export const VM_UID = 1000;
export const VM_HOME = "/home/agentos";
export const VM_HOSTNAME = "agentos";

/** Folder of the server's Node, which is first in the VM's PATH. */
export const NODE_FOLDER = "/opt/agentos";
export const VM_NODE = `${NODE_FOLDER}/bin/node`;

/** Folder of the server's own files in a VM: init, Node, job files and authorities. */
export const RUN_FOLDER = "/run/agentos";

/** Folder of the host's configuration, read-only. `/etc` has links to it, which are made at each boot. */
export const HOST_FOLDER = "/run/agentos/host";
/** The programs of `HOST_FOLDER` stand before the host's, which they replace. */
export const VM_PATH = `${NODE_FOLDER}/bin:${HOST_FOLDER}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

/** `true` for a link of the base tree to the host's configuration. */
export function isHostLink(path: string, target: string): boolean {
  return target === HOST_FOLDER + path;
}

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

export interface CommandSettings {
  /** The whole environment of the command. */
  env: Readonly<Record<string, string>>;
  /** Absolute path of an existing directory. */
  cwd: string;
}

/** A program or a shell line, and its settings. */
export type CommandRequest = CommandSettings & (ProgramCall | ShellLine);

export type SpawnRequest = CommandRequest & {
  /** `false`: stdin is empty from the start. */
  stdin: boolean;
};

export interface TerminalRequest extends CommandSettings, ProgramCall {
  cols: number;
  rows: number;
}

/** A process and its descendants. */
interface ProcessTree {
  /** Process id inside the VM. */
  readonly pid: number;
  /** Sends a signal to the process itself. Does nothing after its end. */
  signal(signal: number): void;
  /** Kills the process and all its descendants, including daemons. */
  killTree(): Promise<void>;
}

export type OutputListener = (data: Buffer) => void;

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
  /** Writes to stdin. Does nothing if stdin is closed or no process reads it any more. */
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

export interface SandboxTerminal extends ProcessTree {
  onOutput(listener: OutputListener): void;
  readonly pendingInput: number;
  write(data: Uint8Array): void;
  resize(cols: number, rows: number): void;
  /** Hangs up the terminal's whole session and frees the terminal. */
  hangup(): Promise<void>;
  /** Resolves after the last output. */
  readonly exited: Promise<ExitStatus>;
}

export interface ConnectOptions {
  /** IP version. @default 4, then 6 if no process listens on the IPv4 port */
  family?: 4 | 6;
  signal?: AbortSignal;
}

/** IPv4 addresses of 127.0.0.0/8 with a port, which are outside a VM although they are loopback addresses. */
export interface LoopbackPlace {
  address: string;
  /** Length of the address's prefix. */
  bits: number;
  port: number;
}

/** Sockets of the server at which connections and DNS questions of a VM's programs arrive. */
export interface Interception {
  /** Their connections have the address that the program wanted as their `localAddress` and `localPort`. */
  connections: Server[];
  questions: DatagramSocket[];
  /** `true` if connections to IPv6 addresses arrive too. */
  hasIpv6: boolean;
  /** Replaces the places outside. 127.0.0.1 always stays inside. */
  lead(places: readonly LoopbackPlace[]): Promise<void>;
  /** Closes the sockets. The VM's end closes them too. */
  close(): void;
}

/** The server's access to the VM's network, which has only a loopback interface. */
export interface SandboxNetwork {
  /**
   * Connects to a port of the VM's loopback. The caller closes the connection.
   *
   * @throws AgentVmError with the kernel's code, such as `ECONNREFUSED`
   */
  connect(port: number, options?: ConnectOptions): Promise<Socket>;
  /**
   * Connects to a Unix socket in the VM's own files. The caller closes the connection.
   *
   * @throws AgentVmError with the kernel's code, such as `ENOENT`; `ECONNREFUSED` for a file that is not a socket of the VM
   */
  connectAt(path: string): Promise<Socket>;
  /** Listens on a port of 127.0.0.1 in the VM, or on a free port if it is taken. The connections arrive in the server. */
  listen(port: number): Promise<Server>;
  /**
   * Takes the calls of the programs that `Provision.callers` names. Only programs of this VM can call here.
   *
   * @returns a function that ends all calls and takes no more
   */
  acceptCalls(onCall: (call: HostCall) => void): Promise<() => void>;
  /** Lists the sockets that listen in the VM, without those of `listen`. */
  listening(): Promise<VmPort[]>;
  /**
   * Makes all TCP connections to addresses outside 127.0.0.0/8 and ::1, and all DNS questions, arrive at sockets of the
   * server. Other packets to such addresses fail with EPERM. To be called once.
   *
   * @throws Error if the host's kernel or programs cannot do it; the VM's network is then as before
   */
  intercept(port: number, places: readonly LoopbackPlace[]): Promise<Interception>;
  /** Finds the process in the VM at the other end of a connection to `listen` or `intercept`. @returns its pid, if it is found */
  ownerOf(connection: Socket): Promise<number | undefined>;
}

/** A program of the VM that calls the server: its arguments and its streams. Everything in it is the VM's word. */
export interface HostCall {
  /** Name of the program, and its arguments. */
  readonly args: readonly string[];
  /** Value of the program's variable `HOST_CALL_SESSION`; `""` without it. Any program of the VM can set it. */
  readonly session: string;
  /** Aborts when the program has ended. */
  readonly gone: AbortSignal;
  /** Whether the program gets no more output: it has ended or was cut off. `gone` may abort a moment later. */
  readonly isClosed: boolean;
  /** Writes to the program's output. Resolves when the program has room for more, or has ended. */
  write(stream: "stdout" | "stderr", data: Uint8Array): Promise<void>;
  /** Reads the next piece of the program's stdin. @returns an empty piece at its end @throws once the program has ended */
  read(): Promise<Buffer>;
  /**
   * Reads a file as the program sees it; `-` is its stdin.
   *
   * @throws Error with a line for the program's user; `gone`'s reason once the program has ended
   */
  readFile(path: string, maxBytes: number): Promise<Buffer>;
  /** Ends the program after the output so far. */
  exit(code: number): void;
}

/** Variable that names the session of the agent that a program belongs to. */
export const HOST_CALL_SESSION = "AGENT_VM_SESSION";

export interface FileWatchRequest {
  /** Path that the subscriber gave. */
  path: string;
  /** Path with all links resolved. */
  realPath: string;
  recursive: boolean;
  /** Names to ignore, with everything below them. */
  exclude: readonly string[];
}

/** A change of a watched file or directory. */
export type FileWatchChange =
  | { type: "created" | "modified" | "deleted"; path: string; isDirectory: boolean }
  | { type: "renamed"; path: string; oldPath: string; isDirectory: boolean }
  /** Changes were lost: the subscriber must read the watched files again. */
  | { type: "overflow"; path: string }
  /** The watch has ended and reports nothing more. */
  | { type: "ended"; path: string };

export interface FileWatchSink {
  report(change: FileWatchChange): void;
  /** Resolves when the sink has room for more changes. `null` if it has room now. */
  drained(): Promise<void> | null;
}

export interface FileWatch {
  close(): void;
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

/** Runs programs on terminals. */
export interface SandboxTerminals {
  /** Interactive shell of the VM. */
  readonly shell: string;
  open(request: TerminalRequest): Promise<SandboxTerminal>;
}

/** Reports changes of files. */
export interface SandboxWatches {
  /**
   * Watches a file or directory. Resolves when the watch is in effect.
   *
   * @throws AgentVmError with a POSIX code, `limit_exceeded`, or `watch_unavailable` if the host lacks a program for it
   */
  watch(request: FileWatchRequest, sink: FileWatchSink): Promise<FileWatch>;
}

/** Capabilities that a runtime may lack. */
interface SandboxCapabilities {
  processes: SandboxProcesses;
  terminals: SandboxTerminals;
  network: SandboxNetwork;
  watches: SandboxWatches;
  mounts: SandboxMounts;
}

/** Resources that a VM uses now. */
export interface SandboxUsage {
  /** Bytes of the file tree, in whole pages. */
  filesystemBytes: number;
  /** Files, directories and links. */
  inodes: number;
  /** Processes and threads. */
  processes: number;
  /** Bytes of memory; `null` if the runtime does not count it. */
  memoryBytes: number | null;
  /** CPU milliseconds since the boot; `null` if nobody counts them. */
  cpuMs: number | null;
  /** Open descriptors of the process that has most; `null` if the kernel does not count them (before Linux 6.2). */
  openFiles: number | null;
  /** Connections of the server into the VM, and MAX_VM_CONNECTIONS. `null` in a runtime without a network. */
  connections: { used: number; limit: number } | null;
}

/** A sandbox that was booted ahead, and waits for its VM. */
export interface Standby {
  /** `false` if the sandbox has ended, also if nobody has noticed it yet. */
  isAlive(): boolean;
  /** A VM has taken the sandbox. */
  end(): void;
}

/** One VM: its files and the capabilities of its runtime. */
export interface Sandbox extends Partial<Readonly<SandboxCapabilities>> {
  /** Name of its runtime, as in the option `runtime`. */
  readonly runtime: string;
  readonly files: FileSystem;
  /** Measures what the VM uses. */
  usage(): Promise<SandboxUsage>;
  /**
   * Makes the files read-only for the programs of the VM, none of which may have run. Absent in a runtime without programs.
   *
   * @throws Error if the host cannot
   */
  makeReadOnly?(): Promise<void>;
  /** Starts what the first program needs, so that the sandbox can wait for a VM. Absent in a runtime without programs. */
  standby?(): Promise<Standby>;
  /** Applies the limits that can change while the VM runs. */
  setLimits?(limits: VmLimits): void;
  /** Kills every process in the VM. The files stay until `dispose`. */
  halt(): Promise<void>;
  /** Resolves when the sandbox has ended without `dispose`. */
  readonly crashed: Promise<Error>;
  /** Ends every process and releases everything. Idempotent. */
  dispose(): Promise<void>;
}

/** A runtime and its capabilities, known before a VM boots. */
export interface Runtime {
  readonly runtime: string;
  readonly capabilities: ReadonlySet<Capability>;
}

/** Describes a runtime in the server's banner. */
export interface RuntimeDescription {
  /** One line, e.g. `"kernel sandbox (user, mount, pid, net, ipc, uts namespaces)"`. */
  isolation: string;
  /** How programs of a VM get out, e.g. `"every connection of a program meets the policy"`. */
  network: string;
  /** Files of the host that VMs can see, e.g. `"/usr, certificates; all read-only"`. */
  visible: string;
}

/** Boots sandboxes of one runtime. */
export interface SandboxFactory extends Runtime {
  describe(): Promise<RuntimeDescription>;
  /** @param limits limits of this VM. @default the limits of the factory's options */
  boot(signal: AbortSignal, limits?: VmLimits): Promise<Sandbox>;
  /** `true` if the host has little left for more sandboxes: then none is booted ahead. @default never */
  isShort?(): boolean;
  /** Releases the resources that its VMs share, after their end. The next boot creates them again. */
  close?(): Promise<void>;
}

/**
 * Returns a capability of a sandbox.
 *
 * @param action name of the API method that needs it, for the error
 * @throws AgentVmError `not_supported` if the runtime lacks it
 */
export function capabilityOf<Name extends Capability>(
  sandbox: Sandbox,
  name: Name,
  action: string,
): SandboxCapabilities[Name] {
  const found: Partial<SandboxCapabilities>[Name] = sandbox[name];
  if (found === undefined) throw notSupported(action, name, sandbox.runtime);
  return found;
}

/**
 * Checks for a capability without booting a VM.
 *
 * @throws AgentVmError `not_supported` if the runtime lacks it
 */
export function requireCapability(
  { runtime, capabilities }: Runtime,
  name: Capability,
  action: string,
): void {
  if (!capabilities.has(name)) throw notSupported(action, name, runtime);
}
