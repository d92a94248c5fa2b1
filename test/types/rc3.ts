// Interface VmActions of agentOS v0.2.0-rc.3 as in its reference, with its types.
// biome-ignore-all lint/suspicious/noExplicitAny: written out as published

export interface Rc3ExecOptions {
  env?: Record<string, string>;
  cwd?: string;
  stdin?: string | Uint8Array;
  timeout?: number;
  captureStdio?: boolean;
}
export interface Rc3ExecResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}
export interface Rc3SpawnOptions {
  env?: Record<string, string>;
  cwd?: string;
  stdin?: string | Uint8Array;
}
export interface Rc3SpawnedProcessInfo {
  pid: number;
  command: string;
  args: string[];
  running: boolean;
  exitCode: number | null;
}
export interface Rc3OpenShellOptions {
  command?: string;
  args?: string[];
  env?: Record<string, string>;
  cwd?: string;
  cols?: number;
  rows?: number;
}
export interface Rc3ConnectTerminalOptions extends Rc3OpenShellOptions {
  onData?: (data: Uint8Array) => void;
}
export interface Rc3VirtualStat {
  mode: number;
  size: number;
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
export interface Rc3DirEntry {
  path: string;
  type: "file" | "directory" | "symlink";
  size: number;
}
export interface Rc3ReaddirRecursiveOptions {
  maxDepth?: number;
  exclude?: string[];
}
export interface Rc3BatchWriteEntry {
  path: string;
  content: string | Uint8Array;
}
export interface Rc3BatchWriteResult {
  path: string;
  success: boolean;
  error?: string;
}
export interface Rc3BatchReadResult {
  path: string;
  content: Uint8Array | null;
  error?: string;
}
export interface Rc3RootSnapshotExport {
  kind: "snapshot-export";
  source: {
    format: "agent-os-filesystem-snapshot-v1";
    filesystem: {
      entries: {
        path: string;
        type: "file" | "directory" | "symlink";
        mode: string;
        uid: number;
        gid: number;
        content?: string;
        encoding?: "utf8" | "base64";
        target?: string;
      }[];
    };
  };
}
export interface Rc3VmFetchOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
}
export interface Rc3VmFetchResponse {
  status: number;
  statusText?: string;
  headers?: [string, string][];
  body: Uint8Array;
}
export interface Rc3PreviewUrl {
  path: string;
  token: string;
  expiresAt: number;
}
export type Rc3PermissionReply = "once" | "always" | "reject";
export interface Rc3JsonRpcResponse {
  jsonrpc: "2.0";
  id: string | number | null;
  result?: unknown;
  error?: { code: number; message: string; data?: unknown };
}
export interface Rc3SessionModeState {
  currentModeId: string;
  availableModes: { id: string; name?: string; label?: string; description?: string }[];
}
export interface Rc3SessionConfigOption {
  id: string;
  category?: string;
  label?: string;
  description?: string;
  currentValue?: string;
  allowedValues?: { id: string; label?: string }[];
  readOnly?: boolean;
}
export interface Rc3SessionRecord {
  sessionId: string;
  agentType: string;
  capabilities: Record<string, unknown>;
  agentInfo: Record<string, unknown> | null;
}
export interface Rc3PersistedSessionRecord extends Rc3SessionRecord {
  createdAt: number;
}
export interface Rc3JsonRpcNotification {
  jsonrpc: "2.0";
  method: string;
  params?: unknown;
}
export interface Rc3PersistedSessionEvent {
  sessionId: string;
  seq: number;
  event: Rc3JsonRpcNotification;
  createdAt: number;
}
export interface Rc3SequencedSessionEvent {
  sequenceNumber: number;
  notification: Rc3JsonRpcNotification;
}
export interface Rc3GetSequencedEventsOptions {
  since?: number;
}
export interface Rc3PromptResult {
  response: Rc3JsonRpcResponse;
  text: string;
}
export type Rc3McpServerConfig =
  | { type?: "local"; command: string; args?: string[]; env?: Record<string, string> }
  | { type?: "remote"; url: string; headers?: Record<string, string> };
export interface Rc3CreateSessionOptions {
  cwd?: string;
  env?: Record<string, string>;
  mcpServers?: Rc3McpServerConfig[];
  skipOsInstructions?: boolean;
  additionalInstructions?: string;
}
export type Rc3CronAction =
  | { type: "session"; agentType: string; prompt: string; options?: Rc3CreateSessionOptions }
  | { type: "exec"; command: string; args?: string[] };
export interface Rc3SerializableCronJobOptions {
  id?: string;
  schedule: string;
  action: Rc3CronAction;
  overlap?: "allow" | "skip" | "queue";
}
export interface Rc3ScheduledCronJob {
  id: string;
}
export interface Rc3CronJobInfo {
  id: string;
  schedule: string;
  action: Rc3CronAction;
  overlap: "allow" | "skip" | "queue";
}

export interface Rc3VmActions {
  cancelCronJob(c: any, id: string): Promise<void>;
  cancelPrompt(c: any, sessionId: string): Promise<Rc3JsonRpcResponse>;
  cancelSession(c: any, sessionId: string): Promise<Rc3JsonRpcResponse>;
  closeProcessStdin(c: any, pid: number): Promise<void>;
  closeSession(c: any, sessionId: string): Promise<void>;
  closeShell(c: any, shellId: string): Promise<void>;
  connectTerminal(c: any, options?: Rc3ConnectTerminalOptions): Promise<number>;
  createSession(c: any, agentType: string, options?: Rc3CreateSessionOptions): Promise<Rc3SessionRecord>;
  createSignedPreviewUrl(c: any, port: number, expiresInSeconds?: number): Promise<Rc3PreviewUrl>;
  delete(c: any, path: string, options?: { recursive?: boolean }): Promise<void>;
  destroySession(c: any, sessionId: string): Promise<void>;
  exec(c: any, command: string, options?: Rc3ExecOptions): Promise<Rc3ExecResult>;
  execArgv(
    c: any,
    command: string,
    args?: readonly string[],
    options?: Rc3ExecOptions,
  ): Promise<Rc3ExecResult>;
  exists(c: any, path: string): Promise<boolean>;
  getConfigOptions(c: any, sessionId: string): Promise<Rc3SessionConfigOption[]>;
  getModes(c: any, sessionId: string): Promise<Rc3SessionModeState | null>;
  getProcess(c: any, pid: number): Promise<Rc3SpawnedProcessInfo>;
  getSequencedEvents(
    c: any,
    sessionId: string,
    options?: Rc3GetSequencedEventsOptions,
  ): Promise<Rc3SequencedSessionEvent[]>;
  getSessionEvents(c: any, sessionId: string): Promise<Rc3PersistedSessionEvent[]>;
  killProcess(c: any, pid: number): Promise<void>;
  listCronJobs(c: any): Promise<Rc3CronJobInfo[]>;
  listPersistedSessions(c: any): Promise<Rc3PersistedSessionRecord[]>;
  listProcesses(c: any): Promise<Rc3SpawnedProcessInfo[]>;
  listSessions(c: any): Promise<Rc3SessionRecord[]>;
  mkdir(c: any, path: string, options?: { recursive?: boolean }): Promise<void>;
  move(c: any, from: string, to: string): Promise<void>;
  openShell(c: any, options?: Rc3OpenShellOptions): Promise<{ shellId: string }>;
  prompt(c: any, sessionId: string, text: string): Promise<Rc3PromptResult>;
  readdir(c: any, path: string): Promise<string[]>;
  readdirRecursive(c: any, path: string, options?: Rc3ReaddirRecursiveOptions): Promise<Rc3DirEntry[]>;
  readFile(c: any, path: string): Promise<Uint8Array<ArrayBufferLike>>;
  readFiles(c: any, paths: string[]): Promise<Rc3BatchReadResult[]>;
  resizeShell(c: any, shellId: string, cols: number, rows: number): Promise<void>;
  respondPermission(
    c: any,
    sessionId: string,
    permissionId: string,
    reply: Rc3PermissionReply,
  ): Promise<Rc3JsonRpcResponse>;
  scheduleCron(c: any, options: Rc3SerializableCronJobOptions): Promise<Rc3ScheduledCronJob>;
  sendPrompt(c: any, sessionId: string, prompt: string): Promise<Rc3PromptResult>;
  setMode(c: any, sessionId: string, modeId: string): Promise<Rc3JsonRpcResponse>;
  setModel(c: any, sessionId: string, model: string): Promise<Rc3JsonRpcResponse>;
  setThoughtLevel(c: any, sessionId: string, level: string): Promise<Rc3JsonRpcResponse>;
  snapshotRootFilesystem(c: any): Promise<Rc3RootSnapshotExport>;
  spawn(c: any, command: string, args?: string[], options?: Rc3SpawnOptions): Promise<{ pid: number }>;
  spawnProcess(c: any, command: string, args?: string[]): Promise<number>;
  stat(c: any, path: string): Promise<Rc3VirtualStat>;
  stopProcess(c: any, pid: number): Promise<void>;
  vmFetch(c: any, port: number, path: string, options?: Rc3VmFetchOptions): Promise<Rc3VmFetchResponse>;
  waitProcess(c: any, pid: number): Promise<number>;
  writeFile(c: any, path: string, content: string | Uint8Array<ArrayBufferLike>): Promise<void>;
  writeFiles(c: any, entries: Rc3BatchWriteEntry[]): Promise<Rc3BatchWriteResult[]>;
  writeProcessStdin(c: any, pid: number, data: string | Uint8Array<ArrayBufferLike>): Promise<void>;
  writeShell(c: any, shellId: string, data: string | Uint8Array<ArrayBufferLike>): Promise<void>;
  [action: string]: (c: any, ...args: any[]) => any;
}
