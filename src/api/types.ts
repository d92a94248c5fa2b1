/** Bytes as they travel: a `Uint8Array`, or a string that is encoded as UTF-8. */
export type Bytes = string | Uint8Array;

// ---------------------------------------------------------------- processes

/** Environment of one command; merged over the VM's base environment. */
export type Env = Record<string, string>;

export interface ExecOptions {
  /** Variables merged over the VM's base environment. */
  env?: Env;
  /** Working directory, an absolute path. @default "/home/agentos" */
  cwd?: string;
  /** Written to the command's stdin, which is then closed. @default empty */
  stdin?: Bytes;
  /** Milliseconds after which the command's whole process tree is killed; 0 means none. @default 0 */
  timeout?: number;
  /** `false`: stdout and stderr are thrown away and come back empty. @default true */
  captureStdio?: boolean;
  /**
   * What happens when the captured output passes `limits.captureBytes`: the rest is dropped and the command
   * runs on, or its process tree is killed. @default "truncate"
   */
  outputLimit?: "truncate" | "kill";
}

/** Why a process is no longer running. */
export type ExitReason =
  /** It ended by itself with an exit code. */
  | "exit"
  /** A signal that this API did not send ended it. */
  | "signal"
  /** The `timeout` option expired. */
  | "timeout"
  /** A signal of stopProcess, killProcess or signalProcess ended it, or asked it to end before it exited. */
  | "killed"
  /** The kernel killed it for want of memory. */
  | "oom"
  /** Its output passed the capture limit and `outputLimit: "kill"` was set. */
  | "outputLimit"
  /** The VM was disposed while it ran. */
  | "vm_stopped";

export interface ExecResult {
  /** The command's exit code; 128 + n when signal n ended it. */
  exitCode: number;
  /** Captured output, decoded as UTF-8 (invalid bytes become U+FFFD). */
  stdout: string;
  stderr: string;
  /** Name of the signal that ended the command, e.g. `"SIGKILL"`; `null` when it exited. */
  signal: string | null;
  /** `true` when the `timeout` option ended the command. */
  timedOut: boolean;
  reason: ExitReason;
  /** `true` when output past the capture limit was dropped. */
  truncated: boolean;
  /** Wall-clock milliseconds from start to end. */
  durationMs: number;
  /** User plus system CPU milliseconds of the command's tree; see docs/processes.md for its error. */
  cpuMs: number;
  /** Largest resident set of any process of the tree, in bytes; see docs/processes.md for its error. */
  maxRssBytes: number;
}

export interface SpawnOptions {
  env?: Env;
  /** @default "/home/agentos" */
  cwd?: string;
  /** Written to stdin at once; stdin stays open. */
  stdin?: Bytes;
}

export interface SpawnedProcessInfo {
  /** Process id inside the VM, as `ps` shows it there. */
  pid: number;
  command: string;
  args: string[];
  running: boolean;
  /** `null` while it runs; 128 + n when signal n ended it. */
  exitCode: number | null;
  /** Name of the signal that ended it, `null` when none did. */
  signal: string | null;
  /** `null` while it runs. */
  reason: ExitReason | null;
  /** Milliseconds since the Unix epoch. */
  startedAt: number;
  /** Milliseconds since the Unix epoch, `null` while it runs. */
  exitedAt: number | null;
}

export type OutputStream = "stdout" | "stderr";

export interface OutputChunk {
  stream: OutputStream;
  data: Uint8Array;
  /** Counts the chunks of one process from 0, over both streams. */
  seq: number;
}

export interface ReadOutputOptions {
  /** Only chunks whose `seq` is greater. @default -1, all that is kept */
  after?: number;
}

export interface ProcessOutput {
  /** Oldest first. The newest MiB of a process is kept. */
  chunks: OutputChunk[];
  /** `true` when chunks after `after` are no longer kept. */
  truncated: boolean;
  running: boolean;
  exitCode: number | null;
}

/** A process of the VM, whoever started it. */
export interface VmProcess {
  pid: number;
  ppid: number;
  /** The kernel's short name, at most 15 bytes. */
  command: string;
  args: string[];
  user: string;
  /** One letter as in `ps`: R, S, D, T, Z, ... */
  state: string;
  /** Resident set in bytes. */
  rss: number;
}

export interface VmProcessNode extends VmProcess {
  children: VmProcessNode[];
}

/** A signal by name (`"SIGTERM"`, `"TERM"`) or by number. */
export type Signal = string | number;

// ------------------------------------------------------------------- shells

export interface OpenShellOptions {
  /** @default "bash", or "sh" where the VM has no bash */
  command?: string;
  /** @default ["-i"] for the default command, else [] */
  args?: string[];
  env?: Env;
  /** @default "/home/agentos" */
  cwd?: string;
  /** @default 80 */
  cols?: number;
  /** @default 24 */
  rows?: number;
}

export interface ConnectTerminalOptions extends OpenShellOptions {
  /** Called with the terminal's output. Works in this package's client; a function cannot cross the wire. */
  onData?: (data: Uint8Array) => void;
}

export interface ShellInfo {
  shellId: string;
  pid: number;
  command: string;
  args: string[];
  cols: number;
  rows: number;
  running: boolean;
  exitCode: number | null;
}

export interface ShellChunk {
  data: Uint8Array;
  /** Counts the chunks of one shell from 0. */
  seq: number;
}

export interface ShellOutput {
  /** Oldest first. The newest 256 KiB of a shell is kept. */
  chunks: ShellChunk[];
  truncated: boolean;
  running: boolean;
  exitCode: number | null;
}

// -------------------------------------------------------------------- files

export interface VirtualStat {
  /** File type and permission bits, as in stat(2). */
  mode: number;
  /** Bytes. */
  size: number;
  /** 512-byte blocks. */
  blocks: number;
  dev: number;
  rdev: number;
  isDirectory: boolean;
  isSymbolicLink: boolean;
  atimeMs: number;
  mtimeMs: number;
  ctimeMs: number;
  birthtimeMs: number;
  ino: number;
  nlink: number;
  uid: number;
  gid: number;
}

export type EntryType = "file" | "directory" | "symlink";

export interface DirEntry {
  /** Absolute path. */
  path: string;
  type: EntryType;
  /** Bytes, as in lstat(2). */
  size: number;
}

export interface ReaddirRecursiveOptions {
  /** 0 lists the immediate children only. @default no limit */
  maxDepth?: number;
  /** Exact names that are left out, with all below them, at any depth. */
  exclude?: string[];
}

export interface RecursiveOption {
  /** @default false */
  recursive?: boolean;
}

export interface BatchWriteEntry {
  path: string;
  content: Bytes;
}

export interface BatchWriteResult {
  path: string;
  success: boolean;
  error?: string;
}

export interface BatchReadResult {
  path: string;
  content: Uint8Array | null;
  error?: string;
}

/** What a checkpoint has kept. */
export interface CheckpointResult {
  /** Files, directories and links. */
  files: number;
  /** Bytes of all files together. */
  bytes: number;
  /** Sockets, FIFOs and devices, which are not kept. */
  skipped: number;
  /** Paths of which the server could not read the content or the extended attributes, at most 100 of them. */
  unreadable: string[];
}

export interface WatchFilesOptions {
  /** Also what lies below its directories, those that come later too. @default false */
  recursive?: boolean;
  /** Names that are passed over at any depth, with all that lies below, e.g. `["node_modules"]`. @default [] */
  exclude?: string[];
}

/** A file watch. */
export interface FileWatchInfo {
  id: string;
  path: string;
  recursive: boolean;
  exclude: string[];
}

export interface RestoreOptions {
  /** Go on without the files whose stored content is missing or corrupt. @default false */
  allowMissing?: boolean;
}

/** A named checkpoint. */
export interface SnapshotInfo {
  id: string;
  name: string | null;
  /** Milliseconds since the Unix epoch. */
  createdAt: number;
  /** Files, directories and links. */
  files: number;
  /** Bytes of all files together. */
  bytes: number;
}

/** What became of one path. */
export interface FileChange {
  path: string;
  /** `mode`: nothing else has changed. */
  change: "added" | "modified" | "deleted" | "mode";
  type: EntryType;
  /** Bytes of a file as it is now, or was when it was deleted; else 0. */
  size: number;
}

export interface UndoResult {
  path: string;
  /** Files, directories and links that have come back; 0 where there had been nothing. */
  restored: number;
  /** Why it was not undone, or only in part. */
  error?: string;
}

export interface SnapshotEntry {
  path: string;
  type: EntryType;
  /** Octal permission bits, e.g. `"0755"`. */
  mode: string;
  uid: number;
  gid: number;
  content?: string;
  encoding?: "utf8" | "base64";
  /** Target of a symlink. */
  target?: string;
}

/** What importTar has put in place. */
export interface ArchiveImport {
  /** Files, directories and links. */
  files: number;
  /** Bytes of all files together. */
  bytes: number;
  /** Devices and FIFOs, which are not imported. */
  skipped: number;
}

/** A VM's address in its server: how `getOrCreate` and `getForId` find it. */
export interface ForkedVm {
  key: string[];
  actorId: string;
}

export interface RootSnapshotExport {
  kind: "snapshot-export";
  source: {
    format: "agent-os-filesystem-snapshot-v1";
    filesystem: { entries: SnapshotEntry[] };
  };
}

// ------------------------------------------------------------------ network

export interface VmFetchOptions {
  /** @default "GET" */
  method?: string;
  /** By name, or as pairs where a name comes more than once. */
  headers?: Record<string, string> | [string, string][];
  /** Dropped for GET and HEAD. */
  body?: Bytes;
  /** Milliseconds until the whole response must have come. @default 30_000 */
  timeoutMs?: number;
}

export interface VmFetchResponse {
  status: number;
  statusText?: string;
  headers?: [string, string][];
  body: Uint8Array;
}

/** A TCP socket that listens inside a VM. */
export interface VmPort {
  port: number;
  /** Address that it listens on, e.g. `"127.0.0.1"` or `"::"`. */
  address: string;
  /** Process that holds it; `null` where it cannot be found. */
  pid: number | null;
  /** That process's name. */
  command: string | null;
}

export interface WaitForPortOptions {
  /** Milliseconds. @default 30_000 */
  timeoutMs?: number;
  /** Ready means: a GET of this path is answered. @default nothing but that the port listens */
  path?: string;
  /** The status of that answer. @default any from 200 to 399 */
  status?: number;
}

export interface PreviewUrl {
  /** Below the actor's gateway URL. */
  path: string;
  /** Whoever has it reaches the port; shown here and never again. */
  token: string;
  /** Milliseconds since the Unix epoch. */
  expiresAt: number;
  port: number;
  /** What a browser opens. */
  url: string;
}

/**
 * What the processes of a VM may reach outside: nothing, everything but this machine and metadata services, or what a
 * list allows. A rule is a name (`"api.example.com"`), all names below one (`"*.example.com"`), an address or a range
 * (`"10.0.0.0/8"`), each with a port behind it (`":5432"`) or for every port.
 */
export type OutboundPolicy = "none" | "all" | { allow: string[]; deny?: string[] };

export interface NetworkPolicy {
  outbound: OutboundPolicy;
}

export interface NetworkPolicyInfo extends NetworkPolicy {
  /** Names of the headers that the server adds, by origin; never their values. */
  headers: Record<string, string[]>;
}

/** A connection to the outside that was denied. */
export interface NetworkLogEntry {
  host: string;
  port: number;
  reason: string;
  /** The last time, in milliseconds since the Unix epoch. */
  time: number;
  /** How often in a row. */
  count: number;
  /** The program that was denied last, as far as it could be found. */
  pid?: number;
}

/** A preview URL that has not expired. */
export interface PreviewInfo {
  /** Names it to expireSignedPreviewUrl; opens nothing. */
  id: string;
  port: number;
  /** Milliseconds since the Unix epoch. */
  createdAt: number;
  expiresAt: number;
}

// ----------------------------------------------------------------- sessions

export interface JsonRpcError {
  code: number;
  message: string;
  data?: unknown;
}

export interface JsonRpcResponse {
  jsonrpc: "2.0";
  id: string | number | null;
  result?: unknown;
  error?: JsonRpcError;
}

export interface JsonRpcNotification {
  jsonrpc: "2.0";
  method: string;
  params?: unknown;
}

/** What to do about one request for permission, whatever the agent calls its options. */
export type PermissionReply = "once" | "always" | "reject";

/** Who answers an agent that asks for permission: whoever listens, or everything is allowed, or nothing is. */
export type PermissionPolicy = "ask" | "allow_all" | "reject_all";

export interface PermissionRequest {
  /** Of this package, not the agent's, whose ids start anew with each of its processes. */
  permissionId: string;
  /** What the agent wants to do, in its words. */
  description?: string;
  /** The agent's own request: `toolCall`, and the `options` that it offers. */
  params?: unknown;
}

export interface SessionMode {
  id: string;
  name?: string;
  label?: string;
  description?: string;
}

export interface SessionModeState {
  currentModeId: string;
  availableModes: SessionMode[];
}

export interface SessionConfigOption {
  id: string;
  /** What it is about: `"mode"`, `"model"`, `"thought_level"`, or a word of the agent's own. */
  category?: string;
  label?: string;
  description?: string;
  /** `"true"` or `"false"` where it is a switch. */
  currentValue?: string;
  allowedValues?: { id: string; label?: string }[];
  readOnly?: boolean;
}

export interface SessionRecord {
  sessionId: string;
  agentType: string;
  /** What the agent said of itself when it started. */
  capabilities: Record<string, unknown>;
  /** The agent's name and version, where it told them. */
  agentInfo: Record<string, unknown> | null;
}

export interface PersistedSessionRecord extends SessionRecord {
  /** Milliseconds since the Unix epoch. */
  createdAt: number;
  /** `true` after closeSession: its transcript is kept, and resumeSession opens it again. */
  closed: boolean;
}

/**
 * What a session does: `running` while a prompt is answered, `idle` between prompts, `dormant` when its agent is not
 * running and comes back with the next prompt, `closed` after closeSession.
 */
export type SessionStatus = "running" | "idle" | "dormant" | "closed";

export interface SessionInfo extends PersistedSessionRecord {
  status: SessionStatus;
  /** Working directory of the agent. */
  cwd: string;
  permissionPolicy: PermissionPolicy;
  /** Prompts that wait, the running one not included. */
  queuedPrompts: number;
  /** Requests for permission that wait for an answer. */
  pendingPermissions: PermissionRequest[];
  /** Number of the newest event, -1 before the first. */
  lastSequenceNumber: number;
  /** Process id of the agent inside the VM; null while it does not run. */
  pid: number | null;
}

export interface PersistedSessionEvent {
  sessionId: string;
  /** The sequenceNumber of its sessionEvent. */
  seq: number;
  event: JsonRpcNotification;
  /** Milliseconds since the Unix epoch. */
  createdAt: number;
}

export interface SequencedSessionEvent {
  /** Counts the events of one session from 0. */
  sequenceNumber: number;
  notification: JsonRpcNotification;
}

export interface GetSequencedEventsOptions {
  /** Only events with a larger number. @default all */
  since?: number;
  /** At most this many, the oldest first. @default all */
  limit?: number;
}

export interface PromptResult {
  /** The agent's answer, with `stopReason`; or what went wrong, as `error`. */
  response: JsonRpcResponse;
  /** What the agent said in this turn, without its thoughts; at most 8 MiB. */
  text: string;
}

export interface McpServerConfigLocal {
  type?: "local";
  /** Name of the server. @default "mcp-1", "mcp-2", ... by position */
  name?: string;
  /** Started by the agent, inside the VM. */
  command: string;
  args?: string[];
  env?: Env;
}

export interface McpServerConfigRemote {
  type?: "remote";
  /** Name of the server. @default "mcp-1", "mcp-2", ... by position */
  name?: string;
  /** Reached by the agent from inside the VM. */
  url: string;
  headers?: Record<string, string>;
}

export type McpServerConfig = McpServerConfigLocal | McpServerConfigRemote;

export interface CreateSessionOptions {
  /** An existing directory. @default "/workspace" */
  cwd?: string;
  /** Variables of the agent's process. They are stored with the session, which is resumed with them. */
  env?: Env;
  mcpServers?: McpServerConfig[];
  /** Leaves out what /etc/agentos/instructions.md tells about the machine. @default false */
  skipOsInstructions?: boolean;
  additionalInstructions?: string;
  /** @default "ask" */
  permissionPolicy?: PermissionPolicy;
}

/** A kind of agent that createSession takes. */
export interface AgentType {
  /** What createSession takes as its `agentType`. */
  id: string;
  title: string;
  installed: boolean;
  /** Version of its package; null where it is not installed, and for an agent of one's own. */
  version: string | null;
  /** Why it cannot be started, and what to do about it; null where it can. */
  reason: string | null;
}

// --------------------------------------------------------------------- cron

export type SerializableCronAction =
  | { type: "session"; agentType: string; prompt: string; options?: CreateSessionOptions }
  | {
      type: "exec";
      /** A shell line; with `args` the name or path of a program. */
      command: string;
      /** Passed on as they are, without a shell. */
      args?: string[];
      env?: Env;
      cwd?: string;
    };

/** What happens to a tick while an earlier run of its job goes on. `queue` keeps at most one waiting. */
export type CronOverlap = "allow" | "skip" | "queue";

/** What happens to ticks that came while nothing ran: nothing, one run for all of them, or one run each (at most 100). */
export type CronCatchUp = "none" | "once" | "all";

export interface SerializableCronJobOptions {
  /** A job of the same id is replaced. @default a random UUID */
  id?: string;
  /** A cron expression of 5 to 7 fields, or an ISO timestamp for a single run. */
  schedule: string;
  action: SerializableCronAction;
  /** @default "allow" */
  overlap?: CronOverlap;
  /** IANA name of the time zone of `schedule`, `startAt` and `stopAt`. @default the actor's `cron.timezone`, "UTC" */
  timezone?: string;
  /** @default "once" */
  catchUp?: CronCatchUp;
  /** Each run is put off by a part of this that is chosen anew for each tick, and never past the next tick. @default 0 */
  jitterSeconds?: number;
  /** A run that takes longer is killed, in milliseconds. @default none */
  timeoutMs?: number;
  /** The job ends after so many runs. @default none */
  maxRuns?: number;
  /** No tick before it: an ISO timestamp. @default none */
  startAt?: string;
  /** No tick from it on: an ISO timestamp. @default none */
  stopAt?: string;
  /** `false` makes a paused job. @default true */
  enabled?: boolean;
}

export interface ScheduledCronJob {
  id: string;
}

export interface CronJobInfo {
  id: string;
  schedule: string;
  action: SerializableCronAction;
  overlap: CronOverlap;
  timezone: string;
  catchUp: CronCatchUp;
  jitterSeconds?: number;
  timeoutMs?: number;
  maxRuns?: number;
  startAt?: string;
  stopAt?: string;
  /** When it fires next, in Unix milliseconds; `null` while it is paused and when it has ended. */
  nextRun: number | null;
  /** Start of its last run, in Unix milliseconds. */
  lastRun: number | null;
  /** Runs that were started, also by runCronJob. */
  runCount: number;
  /** Whether a run goes on now. */
  running: boolean;
  paused: boolean;
}

/** `completed` whatever the exit code; `failed` when the command could not be run to its end. */
export type CronRunStatus = "running" | "completed" | "failed" | "skipped" | "missed" | "timeout";

export interface CronRun {
  runId: string;
  jobId: string;
  /** The tick, in Unix milliseconds. For runCronJob the time of the call. */
  scheduledAt: number;
  /** In Unix milliseconds; `null` for what was skipped or missed. */
  startedAt: number | null;
  /** `null` until it has ended, and when the server died under it. */
  durationMs: number | null;
  status: CronRunStatus;
  exitCode?: number;
  /** Why, for every status but `completed` with an exit of the command's own. */
  reason?: string;
  /** How many ticks a `missed` one stands for; 100 stands for 100 or more. */
  ticks?: number;
  /** The last 16 KiB of stdout and stderr together. */
  outputTail: string;
  /** Set by session actions. */
  sessionId?: string;
  /** How often this tick was started, this time included: 1, since a run that was cut short is not repeated. */
  attempt: number;
}

export interface ListCronRunsOptions {
  /** @default 100 */
  limit?: number;
  /** Only runs before this one. */
  before?: string;
}

// ---------------------------------------------------------- client transport

/** What a call came to: its result, or the error it ended with. */
export type CallOutcome =
  | { ok: true; output: unknown }
  | { ok: false; error: { code: string; message: string; metadata?: unknown } };

export interface CallRequest {
  /** Idempotency key: a repeated key answers with the first call's outcome. */
  callId: string;
  action: string;
  args: unknown[];
  /** The VM instance that the client knows; a call is refused when another one answers. */
  instanceId?: string;
  /** Keys whose outcome has arrived and need not be kept. */
  received?: string[];
}

export interface CallTicket {
  /** Changes whenever the server side of the VM is started anew. */
  instanceId: string;
}

export interface FileReadTransfer {
  /** Size of the whole file in bytes. */
  size: number;
  /** The first bytes; the whole file when `transferId` is `null`. */
  data: Uint8Array;
  /** Names the open file for readFileChunk; `null` when nothing is left to read. */
  transferId: string | null;
}

/** A tar archive that is being read. */
export interface TarReadTransfer {
  /** Names the archive for readTarChunk. */
  transferId: string;
  /** About how many bytes it will have. */
  estimate: number;
}
