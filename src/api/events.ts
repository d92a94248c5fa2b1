import type {
  CallOutcome,
  ExitReason,
  JsonRpcNotification,
  OutputStream,
  PermissionRequest,
  VmPort,
} from "./types.ts";

export interface ProcessOutputEvent {
  /** Process id inside the VM. */
  pid: number;
  stream: OutputStream;
  /** At most 192 KiB. */
  data: Uint8Array;
  /** Counts the chunks of one process from 0, over both streams. */
  seq: number;
}

/** Sent strictly after the last processOutput of the same process. */
export interface ProcessExitEvent {
  pid: number;
  /** 128 + n when signal n ended it. */
  exitCode: number;
  /** Name of the signal that ended it; absent when it exited. */
  signal?: string;
  reason: ExitReason;
}

export interface ShellDataEvent {
  shellId: string;
  /** At most 192 KiB. */
  data: Uint8Array;
  /** Counts the chunks of one shell from 0. */
  seq: number;
}

/** Sent strictly after the last shellData of the same shell. */
export interface ShellExitEvent {
  shellId: string;
  exitCode: number;
  signal?: string;
}

/** Something that watchFiles watches has changed. */
export interface FileChangedEvent {
  /** As watchFiles answered it. */
  watchId: string;
  /**
   * `overflow`: changes may have been missed, look at all that is watched anew. `ended`: the watch is over.
   * Both have the watched path.
   */
  type: "created" | "modified" | "deleted" | "renamed" | "overflow" | "ended";
  /** Absolute; of what was renamed the new one. */
  path: string;
  /** What was renamed had this path. */
  oldPath?: string;
  /** Absent for `overflow` and `ended`, and where nobody saw what was deleted. */
  isDirectory?: boolean;
}

/** A port has begun to listen. */
export type PortOpenedEvent = VmPort;

export interface PortClosedEvent {
  port: number;
  address: string;
}

/** A program inside wanted to reach what the outbound policy does not let it reach. */
export interface NetworkDeniedEvent {
  host: string;
  port: number;
  reason: string;
  /** The program, as `getProcess` knows it; absent where it could not be found. */
  pid?: number;
}

export type VmBootedEvent = Record<string, never>;

export interface VmShutdownEvent {
  reason: "sleep" | "destroy" | "error";
}

interface CronEventBase {
  /** The job, as `jobId`. */
  id: string;
  jobId: string;
  schedule: string;
  runId: string;
  /** The tick that it is about, in Unix milliseconds. */
  firedAt: number;
  /** When it happened, in Unix milliseconds. */
  time: number;
}

/** What happened to a tick of a cron job. */
export type CronEvent = CronEventBase &
  (
    | { type: "cron:fire" }
    | { type: "cron:complete"; durationMs: number; exitCode: number }
    | { type: "cron:error"; durationMs?: number; exitCode?: number; error: string; reason: string }
    | { type: "cron:skip"; reason: string }
    | { type: "cron:missed"; ticks: number; reason: string }
  );

export interface CronEventPayload {
  event: CronEvent;
}

/**
 * What an agent told in a session, in the order of its numbers; it is stored before it is sent. Notifications of ours
 * are `_agentvm/...`; see docs/sessions.md.
 */
export interface SessionEventPayload {
  sessionId: string;
  /** The agent's own notification, with our `sessionId` in its params. */
  event: JsonRpcNotification;
  /** The number that getSequencedEvents and getSessionEvents give it. */
  sequenceNumber: number;
}

/** An agent waits for respondPermission. */
export interface PermissionRequestPayload {
  sessionId: string;
  request: PermissionRequest;
}

/** An agent ended without having been asked to. */
export interface AgentCrashedEvent {
  sessionId: string;
  /** 128 + n when signal n ended it. */
  exitCode: number;
  signal: string | null;
  /** The last 64 KiB. */
  stderr: string;
  /** Whether the next prompt starts it again; after three crashes in a row only resumeSession does. */
  restart: boolean;
}

/** Sent to the one connection that waits for the call. */
export interface CallSettledEvent {
  callId: string;
  outcome: CallOutcome;
}

/** Every event of a `vm` actor and its payload. */
export interface VmEvents {
  processOutput: ProcessOutputEvent;
  processExit: ProcessExitEvent;
  shellData: ShellDataEvent;
  shellExit: ShellExitEvent;
  fileChanged: FileChangedEvent;
  portOpened: PortOpenedEvent;
  portClosed: PortClosedEvent;
  networkDenied: NetworkDeniedEvent;
  vmBooted: VmBootedEvent;
  vmShutdown: VmShutdownEvent;
  callSettled: CallSettledEvent;
  cronEvent: CronEventPayload;
  sessionEvent: SessionEventPayload;
  permissionRequest: PermissionRequestPayload;
  agentCrashed: AgentCrashedEvent;
}

export type VmEventName = keyof VmEvents;
