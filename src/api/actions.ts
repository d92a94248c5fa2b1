import type {
  AgentType,
  ArchiveImport,
  BatchReadResult,
  BatchWriteEntry,
  BatchWriteResult,
  Bytes,
  CallRequest,
  CallTicket,
  CheckpointResult,
  ConnectTerminalOptions,
  CreateSessionOptions,
  CronJobInfo,
  CronRun,
  DirEntry,
  ExecOptions,
  ExecResult,
  FileChange,
  FileReadTransfer,
  FileWatchInfo,
  ForkedVm,
  GetSequencedEventsOptions,
  JsonRpcResponse,
  ListCronRunsOptions,
  NetworkLogEntry,
  NetworkPolicy,
  NetworkPolicyInfo,
  OpenShellOptions,
  PermissionReply,
  PersistedSessionEvent,
  PersistedSessionRecord,
  PreviewInfo,
  PreviewUrl,
  ProcessOutput,
  PromptResult,
  ReaddirRecursiveOptions,
  ReadOutputOptions,
  RecursiveOption,
  RestoreOptions,
  RootSnapshotExport,
  ScheduledCronJob,
  SequencedSessionEvent,
  SerializableCronJobOptions,
  SessionConfigOption,
  SessionInfo,
  SessionModeState,
  SessionRecord,
  ShellInfo,
  ShellOutput,
  Signal,
  SnapshotInfo,
  SpawnedProcessInfo,
  SpawnOptions,
  TarReadTransfer,
  UndoResult,
  VirtualStat,
  VmFetchOptions,
  VmFetchResponse,
  VmPort,
  VmProcess,
  VmProcessNode,
  WaitForPortOptions,
  WatchFilesOptions,
} from "./types.ts";

/**
 * File actions. Paths are absolute and normalized; errors carry POSIX codes
 * (`ENOENT: no such file or directory, open '/x'`, code `ENOENT`).
 */
export type FileMethods = {
  /** The whole file. Above 31 MiB only this package's client can carry it, which splits it. */
  readFile(path: string): Promise<Uint8Array>;
  /** Replaces the file in one step and creates missing parents; mode and owner of an existing file stay. */
  writeFile(path: string, content: Bytes): Promise<void>;
  /** In order, never rejects; a file that cannot be read has `content: null` and an `error`. */
  readFiles(paths: string[]): Promise<BatchReadResult[]>;
  /** In order, never rejects; one result an entry. */
  writeFiles(entries: BatchWriteEntry[]): Promise<BatchWriteResult[]>;
  /** Follows symlinks; a dangling link is described itself, with `isSymbolicLink: true`. */
  stat(path: string): Promise<VirtualStat>;
  /** Like stat, but never follows the last component. */
  lstat(path: string): Promise<VirtualStat>;
  /** `false` for a missing path and for a dangling link. */
  exists(path: string): Promise<boolean>;
  /** An existing directory is fine; a missing parent is ENOENT unless `recursive`. */
  mkdir(path: string, options?: RecursiveOption): Promise<void>;
  /** Names without `.` and `..`, sorted by code unit. */
  readdir(path: string): Promise<string[]>;
  /** Breadth first, without the root itself; links are reported and not followed. */
  readdirRecursive(path: string, options?: ReaddirRecursiveOptions): Promise<DirEntry[]>;
  /** rename(2); across mounts copies, then deletes. */
  move(from: string, to: string): Promise<void>;
  /** A link is removed, never its target; a non-empty directory is ENOTEMPTY unless `recursive`. */
  delete(path: string, options?: RecursiveOption): Promise<void>;
  /** Alias of `delete`. */
  deleteFile(path: string, options?: RecursiveOption): Promise<void>;
};

/** Process actions. A pid is the process id inside the VM. */
export type ProcessMethods = {
  /** Runs a shell line to its end; a non-zero exit code does not throw. */
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
  /** Runs a program with exactly these arguments, without a shell. */
  execArgv(command: string, args?: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Starts a program; its output arrives as processOutput events and its end as processExit. */
  spawn(command: string, args?: string[], options?: SpawnOptions): Promise<{ pid: number }>;
  /** Like spawn, but answers the bare pid. */
  spawnProcess(command: string, args?: string[], options?: SpawnOptions): Promise<number>;
  /** Everything that spawn started, in order; the newest 1,024 ended ones stay. */
  listProcesses(): Promise<SpawnedProcessInfo[]>;
  getProcess(pid: number): Promise<SpawnedProcessInfo>;
  /** Ignored after the process has ended or its stdin was closed. */
  writeProcessStdin(pid: number, data: Bytes): Promise<void>;
  closeProcessStdin(pid: number): Promise<void>;
  /** The exit code, as soon as there is one; any number of callers may wait. */
  waitProcess(pid: number): Promise<number>;
  /** SIGTERM; nothing after the process has ended. */
  stopProcess(pid: number): Promise<void>;
  /** SIGKILL; nothing after the process has ended. */
  killProcess(pid: number): Promise<void>;
  signalProcess(pid: number, signal: Signal): Promise<void>;
  /** Every process of the VM, also those that no action started. */
  allProcesses(): Promise<VmProcess[]>;
  /** The same as a forest, roots first. */
  processTree(): Promise<VmProcessNode[]>;
  /** Output that a subscription missed. */
  readProcessOutput(pid: number, options?: ReadOutputOptions): Promise<ProcessOutput>;
};

/** Interactive shells on a pseudo-terminal. Ids are `shell-1`, `shell-2`, ... per VM. */
export type ShellMethods = {
  openShell(options?: OpenShellOptions): Promise<{ shellId: string }>;
  writeShell(shellId: string, data: Bytes): Promise<void>;
  resizeShell(shellId: string, cols: number, rows: number): Promise<void>;
  /** Hangs up the shell's whole session; a second close is a no-op. */
  closeShell(shellId: string): Promise<void>;
  /** Opens a shell and answers its pid; this package's client feeds `onData`. */
  connectTerminal(options?: ConnectTerminalOptions): Promise<number>;
  /** The exit code, as soon as there is one. */
  waitShell(shellId: string): Promise<number>;
  listShells(): Promise<ShellInfo[]>;
  /** Scrollback that a subscription missed. */
  readShell(shellId: string, options?: ReadOutputOptions): Promise<ShellOutput>;
};

/** Durable files: checkpoints, snapshots and what they allow. */
export type SnapshotMethods = {
  /** The VM's own tree, without what is mounted into it, in agentOS's form; one that no message carries is refused. */
  snapshotRootFilesystem(): Promise<RootSnapshotExport>;
  /** Keeps all files as they are; resolves when that is durable. */
  checkpoint(): Promise<CheckpointResult>;
  /** Boots the VM from its last checkpoint, if it is not up. */
  restore(options?: RestoreOptions): Promise<void>;
  /** A checkpoint that stays until it is deleted. */
  createSnapshot(name?: string): Promise<SnapshotInfo>;
  /** Oldest first. */
  listSnapshots(): Promise<SnapshotInfo[]>;
  /** Makes a snapshot's files the VM's: ends all processes, and boots anew with the next action. */
  restoreSnapshot(snapshotId: string): Promise<void>;
  deleteSnapshot(snapshotId: string): Promise<void>;
  /** What has changed since a snapshot, or since the last checkpoint. */
  diff(snapshotId?: string): Promise<FileChange[]>;
  /** Puts paths back as they were in a snapshot or the last checkpoint, each with all below it. */
  undo(paths: string[], snapshotId?: string): Promise<UndoResult[]>;
  /**
   * Everything at and below a path that is the VM's own, as a tar archive. Above 31 MiB only this package's client can
   * carry it, which answers a stream.
   *
   * @param path directory, or a single file. @default "/"
   */
  exportTar(path?: string): Promise<Uint8Array>;
  /** What a checkpoint keeps of the whole VM, as a tar archive: snapshotRootFilesystem without its limit. */
  exportSnapshot(): Promise<Uint8Array>;
  /**
   * Unpacks a tar archive, packed with gzip or not: all of it or, after an error, nothing. Durable when it resolves.
   *
   * @param path directory that it goes to; made where it is missing. @default "/"
   * @throws AgentVmError `invalid_archive` for what is damaged, or would reach out of the path
   */
  importTar(data: Uint8Array, path?: string): Promise<ArchiveImport>;
  /**
   * Makes a new VM with the files that this one has now.
   *
   * @throws AgentVmError `duplicate_key` where a VM has that key
   */
  fork(newKey: string | string[]): Promise<ForkedVm>;
};

/** Changes of files as the kernel tells them, sent as fileChanged events. Watches outlive sleep, restart and crash. */
export type WatchMethods = {
  /**
   * Watches a file, or what is in a directory; resolves with the watch's id once it does.
   *
   * @throws `ENOENT`, `limit_exceeded`, `watch_unavailable` where the host lacks perl, `no_kernel_sandbox`
   */
  watchFiles(path: string, options?: WatchFilesOptions): Promise<string>;
  /** Ends a watch; an unknown id is fine. */
  unwatchFiles(watchId: string): Promise<void>;
  /** Oldest first. */
  listWatches(): Promise<FileWatchInfo[]>;
};

/** A VM's own loopback, reached on purpose. */
export type NetworkMethods = {
  /** One HTTP request to a port inside, and its whole response; redirects are not followed, gzip stays as sent. */
  vmFetch(port: number, path: string, options?: VmFetchOptions): Promise<VmFetchResponse>;
  /** TCP sockets that listen inside, by port and address. */
  listPorts(): Promise<VmPort[]>;
  /** Resolves when a port listens and, where a path is given, answers it. */
  waitForPort(port: number, options?: WaitForPortOptions): Promise<void>;
  /** A URL under which a browser reaches a port, without any other credential, for 1 to 86,400 seconds. */
  createSignedPreviewUrl(port: number, expiresInSeconds?: number): Promise<PreviewUrl>;
  /** Closes a preview URL, by its token or its id, and what goes through it; unknown ones are fine. */
  expireSignedPreviewUrl(tokenOrId: string): Promise<void>;
  /** Preview URLs that have not expired, without their tokens. */
  listPreviews(): Promise<PreviewInfo[]>;
  /** Changes what processes inside may reach outside, for good; what is open and no longer allowed is cut. */
  setNetworkPolicy(policy: NetworkPolicy): Promise<void>;
  getNetworkPolicy(): Promise<NetworkPolicyInfo>;
  /** The newest 1,000 denials since the actor woke. */
  getNetworkLog(): Promise<NetworkLogEntry[]>;
};

/** Jobs that run by the clock. They and their history outlive sleep, restart and crash. */
export type CronMethods = {
  /** Adds a job, or replaces the one of the same id. */
  scheduleCron(options: SerializableCronJobOptions): Promise<ScheduledCronJob>;
  listCronJobs(): Promise<CronJobInfo[]>;
  /** Runs that go on are not interrupted; an unknown id is fine. */
  cancelCronJob(id: string): Promise<void>;
  /** History of all jobs or of one, newest first; the newest 1,000 runs of a VM are kept. */
  listCronRuns(jobId?: string, options?: ListCronRunsOptions): Promise<CronRun[]>;
  /** Fires a job now, under its overlap policy. Answers at once. */
  runCronJob(id: string): Promise<{ runId: string }>;
  /** Ticks of a paused job come and go unrecorded. */
  pauseCronJob(id: string): Promise<void>;
  resumeCronJob(id: string): Promise<void>;
};

/** Agent sessions; not implemented yet. */
export type SessionMethods = {
  /**
   * Starts an agent in the VM and opens a session with it.
   *
   * @throws AgentVmError `unknown_agent_type`; `agent_not_installed`; `agent_failed` with the tail of its stderr, when it does
   * not start or refuses the session.
   */
  createSession(agentType: string, options?: CreateSessionOptions): Promise<SessionRecord>;
  /** Sessions that are open, the oldest first, whether or not their agents run. */
  listSessions(): Promise<SessionRecord[]>;
  /** Sessions with a transcript, closed ones too, the oldest first. */
  listPersistedSessions(): Promise<PersistedSessionRecord[]>;
  getSession(sessionId: string): Promise<SessionInfo>;
  /** Starts the agent of a session that is closed or dormant; otherwise the next prompt does. */
  resumeSession(sessionId: string): Promise<SessionRecord>;
  /** The agents that createSession takes. */
  listAgents(): Promise<AgentType[]>;
  /**
   * Sends a prompt of at most 8 MiB and answers when the agent has ended its turn. Prompts of one session wait for each
   * other. A JSON-RPC error of the agent comes back as `response.error`.
   *
   * @throws AgentVmError `agent_crashed` when the agent ended in its turn; `agent_failed` when it could not be started.
   */
  sendPrompt(sessionId: string, prompt: string): Promise<PromptResult>;
  /** The same as sendPrompt. */
  prompt(sessionId: string, text: string): Promise<PromptResult>;
  /**
   * Asks the agent to end its turn; the prompt answers with stopReason `cancelled`. `result.cancelled` tells whether
   * there was one. An agent that goes on for 10 s more is killed.
   */
  cancelPrompt(sessionId: string): Promise<JsonRpcResponse>;
  /** The same, for the prompts that wait too. */
  cancelSession(sessionId: string): Promise<JsonRpcResponse>;
  /** Ends the agent and everything that it started, and keeps the transcript. */
  closeSession(sessionId: string): Promise<void>;
  /** The same, and deletes the transcript. */
  destroySession(sessionId: string): Promise<void>;
  /**
   * Answers a permissionRequest event.
   *
   * @param reply `once`, `always` or `reject`, or an optionId that the agent offers.
   * @throws AgentVmError `permission_not_found` when it has been answered already, or has been given up.
   */
  respondPermission(
    sessionId: string,
    permissionId: string,
    reply: PermissionReply | (string & {}),
  ): Promise<JsonRpcResponse>;
  setMode(sessionId: string, modeId: string): Promise<JsonRpcResponse>;
  /** @returns error -32601 where the agent's model cannot be chosen. */
  setModel(sessionId: string, model: string): Promise<JsonRpcResponse>;
  /** @returns error -32601 where the agent has no such setting. */
  setThoughtLevel(sessionId: string, level: string): Promise<JsonRpcResponse>;
  /** The agent's modes; null where it has none. */
  getModes(sessionId: string): Promise<SessionModeState | null>;
  getConfigOptions(sessionId: string): Promise<SessionConfigOption[]>;
  /** Events of a session by number: what a client has missed since its last one. */
  getSequencedEvents(
    sessionId: string,
    options?: GetSequencedEventsOptions,
  ): Promise<SequencedSessionEvent[]>;
  /** The whole transcript. */
  getSessionEvents(sessionId: string): Promise<PersistedSessionEvent[]>;
};

/** Files that cross the wire in pieces. */
export type FileTransferMethods = {
  /** Reads a file's first bytes and, when there is more, keeps it open. */
  beginFileRead(path: string): Promise<FileReadTransfer>;
  readFileChunk(transferId: string, offset: number): Promise<Uint8Array>;
  /** Opens a replacement for a file; nothing is seen before commitFileWrite. */
  beginFileWrite(path: string, size: number): Promise<{ transferId: string }>;
  writeFileChunk(transferId: string, offset: number, data: Uint8Array): Promise<void>;
  commitFileWrite(transferId: string): Promise<void>;
  /** Gives a transfer up, of a file or an archive; unknown ids are fine. */
  endFileTransfer(transferId: string): Promise<void>;
};

/** Tar archives that cross the wire in pieces, one after the other. */
export type TarTransferMethods = {
  /** Begins exportTar; without a path exportSnapshot. */
  beginTarRead(path?: string): Promise<TarReadTransfer>;
  /** The next piece, which begins at an offset; empty at the end. */
  readTarChunk(transferId: string, offset: number): Promise<Uint8Array>;
  /** Begins importTar; nothing is seen before commitTarWrite. */
  beginTarWrite(path: string): Promise<{ transferId: string }>;
  /** Takes the next piece; an empty one only keeps the transfer from being given up. */
  writeTarChunk(transferId: string, offset: number, data: Uint8Array): Promise<void>;
  commitTarWrite(transferId: string): Promise<ArchiveImport>;
};

/** What this package's client uses underneath; a plain RivetKit client need not call these. */
export type TransportMethods = FileTransferMethods &
  TarTransferMethods & {
    /** Starts a call, or joins the one that runs under the same key; its outcome comes as a callSettled event. */
    beginCall(request: CallRequest): Promise<CallTicket>;
  };

/** What keeps the call protocol small; answered without booting the VM. */
export type CallMethods = {
  /** Lets the server forget these calls' outcomes, and tells which instance of the VM answers. */
  acknowledge(received: string[]): Promise<CallTicket>;
  /** Nobody waits for a call any more: a vmFetch is cut, a waitForPort ends, other work goes on. Unknown ids are fine. */
  abandonCall(callId: string): Promise<void>;
};

/** What a client calls: every action of a `vm` actor without its context argument. */
export type VmMethods = FileMethods &
  ProcessMethods &
  ShellMethods &
  SnapshotMethods &
  WatchMethods &
  NetworkMethods &
  CronMethods &
  SessionMethods &
  TransportMethods &
  CallMethods;

export type VmMethodName = keyof VmMethods;

/** Gives each method the actor's context as its first argument, as RivetKit hands it to a handler. */
export type WithContext<Methods, Context> = {
  [Name in keyof Methods]: Methods[Name] extends (...args: infer Args) => infer Result
    ? (c: Context, ...args: Args) => Result
    : never;
};

/**
 * The action surface as the server defines it, name and shape as in agentOS v0.2.0-rc.3.
 * The index signature satisfies RivetKit's constraint on actions.
 */
// biome-ignore lint/suspicious/noExplicitAny: RivetKit's constraint on actions is an index signature of any
export type VmActions = WithContext<VmMethods, any> & { [action: string]: (c: any, ...args: any[]) => any };
