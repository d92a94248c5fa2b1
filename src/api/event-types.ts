import type { NetworkLogCode, VmPort } from "./methods/network.ts";
import type { NetworkRequest } from "./methods/network-requests.ts";
import type { PreviewLogEntry } from "./methods/previews.ts";
import type { ExitReason, OutputStream } from "./methods/process-types.ts";
import type { ServiceInfo } from "./methods/services.ts";
import type { SessionEvent } from "./methods/session-event.ts";
import type { PermissionRequest } from "./methods/session-types.ts";
import type { CallOutcome } from "./methods/transport.ts";

/** Output of a process that `spawn` or `run` started. */
export interface ProcessOutputEvent {
  /** Process id inside the VM. */
  pid: number;
  /** Stream that the process wrote to. */
  stream: OutputStream;
  /** Bytes as written, at most 192 KiB. */
  data: Uint8Array;
  /** Number of the chunk: counts the chunks of one process from 0, over both streams. */
  seq: number;
}

/** End of a process that `spawn` or `run` started. Follows the last `processOutput` of the process. */
export interface ProcessExitEvent {
  /** Process id inside the VM. */
  pid: number;
  /** Exit code; 128 + n when signal n ended the process. */
  exitCode: number;
  /** Name of the signal that ended the process, such as `"SIGKILL"`; absent when it exited. */
  signal?: string;
  /** Why the process ended. */
  reason: ExitReason;
  /** Number of processes of the VM that the kernel killed meanwhile because memory ran out. Absent if it is 0. */
  oomKills?: number;
}

/** Output of a shell. */
export interface ShellDataEvent {
  /** Id of the shell. */
  shellId: string;
  /** Bytes as the terminal sent them, at most 192 KiB. */
  data: Uint8Array;
  /** Number of the chunk: counts the chunks of one shell from 0. */
  seq: number;
}

/** End of a shell. Follows the last `shellData` of the shell. */
export interface ShellExitEvent {
  /** Id of the shell. */
  shellId: string;
  /** Exit code; 128 + n when signal n ended the shell. */
  exitCode: number;
  /** Name of the signal that ended the shell, such as `"SIGHUP"`; absent when it exited. */
  signal?: string;
}

/** A shell, or a process of `spawn` or `run`, has begun or ceased to wait for input. */
export interface WaitingForInputEvent {
  /** Id of the shell; `null` for a process. */
  shellId: string | null;
  /** Process id of the shell or of the process, as its list has it. */
  pid: number;
  /** `true` when the wait begins. The end of a program, and the VM's, end a wait without an event of this name. */
  waiting: boolean;
  /** Process id of the program that waits, such as a child. Absent if `waiting` is `false`. */
  waitingPid?: number;
  /** Short name of the program that waits, at most 15 bytes. Absent if `waiting` is `false`. */
  command?: string;
}

/** Change of a file or directory that `watchFiles` watches. */
export interface FileChangedEvent {
  /** Id that `watchFiles` returned. */
  watchId: string;
  /**
   * Kind of the change. `overflow`: changes may have been missed, so read the watched files again. `ended`: the watch is
   * over. Both carry the watched path.
   */
  type: "created" | "modified" | "deleted" | "renamed" | "overflow" | "ended";
  /** Absolute path; for `renamed` the new path. */
  path: string;
  /** Previous absolute path. Set only for `renamed`. */
  oldPath?: string;
  /** `true` for a directory. Absent for `overflow` and `ended`, and when the kind of a deleted entry is unknown. */
  isDirectory?: boolean;
}

/** A TCP port inside the VM that has begun to listen. */
export type PortOpenedEvent = VmPort;

/** A TCP port inside the VM that has stopped listening. */
export interface PortClosedEvent {
  /** Port number. */
  port: number;
  /** Address that the socket listened on, such as `"127.0.0.1"` or `"::"`. */
  address: string;
}

/** A connection to the outside that the outbound policy denied. At most 20 events a second; the log has all denials. */
export interface NetworkDeniedEvent {
  /** Name or address that the program wanted to reach. */
  host: string;
  /** Port that the program wanted to reach. */
  port: number;
  /** Why the server denied the connection. */
  reason: string;
  /** Kind of the reason; absent if a rule of the policy denied the connection. */
  code?: NetworkLogCode;
  /** Process id of the program inside the VM; absent when the server could not find it. */
  pid?: number;
}

/** A connection waits for an answer, because a rule of `ask` names its destination. `answerNetworkRequest` answers. */
export type NetworkRequestEvent = NetworkRequest;

/** A request to a preview with `log` has ended. At most 20 events a second; the log has more. */
export type PreviewRequestEvent = PreviewLogEntry;

/** A VM has booted. */
export interface VmBootedEvent {
  /**
   * Paths of the base tree, such as `/bin`, that the VM's files lacked and that the boot has put back. At most 100. Absent
   * if nothing was missing.
   */
  putBack?: string[];
}

/** The state of a service has changed. */
export interface ServiceChangedEvent
  extends Pick<ServiceInfo, "name" | "state" | "pid" | "restarts" | "exitCode" | "error"> {}

/** A VM has used 80 % of a limit. */
export interface LimitWarningEvent {
  /** Name of the limit, such as `memoryBytes` or `MAX_SESSIONS`. */
  limit: string;
  /** Amount in use, in the unit of the limit: bytes, or a number. */
  observed: number;
  /** The limit, in its own unit: bytes, or a number. */
  capacity: number;
  /** Option of `vmActor` that raises the limit, such as `limits.memoryBytes`; `null` if the limit is fixed. */
  path: string | null;
  /** The warning for people. */
  message: string;
}

/** The files of a VM that has booted could not be restored whole. They are read-only, and the stored files stay as they are. */
export interface FilesReadOnlyEvent {
  /** Why the files could not be restored, for people. */
  error: string;
  /** Absolute paths of files that are missing, at most 100. Empty if they are not known. */
  files: string[];
}

/** A VM is shutting down, or its sandbox has failed. */
export interface VmShutdownEvent {
  /** `sleep`: the VM sleeps, or `restoreSnapshot` ended it. `destroy`: the actor is gone. `error`: the sandbox failed. */
  reason: "sleep" | "destroy" | "error";
}

/** Fields of every cron event. */
interface CronEventBase {
  /** Id of the job: agentOS's field for `jobId`. */
  id: string;
  /** Id of the job. */
  jobId: string;
  /** Schedule of the job, as given. */
  schedule: string;
  /** Id of the run in `listCronRuns`. */
  runId: string;
  /** Time of the tick, in milliseconds since the Unix epoch. */
  firedAt: number;
  /** Time of the event, in milliseconds since the Unix epoch. */
  time: number;
}

/** Event of one tick of a cron job. docs/cron.md lists the types and reasons. */
export type CronEvent = CronEventBase &
  (
    | {
        /** A run has started. */
        type: "cron:fire";
      }
    | {
        /** A run has completed, with any exit code. */
        type: "cron:complete";
        /** Milliseconds from start to end. */
        durationMs: number;
        /** Exit code of the command; 0 for a prompt. */
        exitCode: number;
      }
    | {
        /** A run has failed or timed out. */
        type: "cron:error";
        /** Milliseconds from start to end; absent when the run did not start. */
        durationMs?: number;
        /** Exit code of the command; absent when it did not exit. */
        exitCode?: number;
        /** Description of the failure, for people. */
        error: string;
        /** `timeout`, `vm_stopped`, `agent_error`, or the code of the error. */
        reason: string;
      }
    | {
        /** A tick was skipped. */
        type: "cron:skip";
        /** `overlap`, `queue_full` or `limit_exceeded`. */
        reason: string;
      }
    | {
        /** Ticks passed while no server ran. */
        type: "cron:missed";
        /** Number of missed ticks; 100 means 100 or more. */
        ticks: number;
        /** Always `not_running`. */
        reason: string;
      }
  );

/** Payload of `cronEvent`. */
export interface CronEventPayload {
  /** Event of one tick. */
  event: CronEvent;
}

/**
 * Notification of an agent, in the order of its numbers. The server stores a notification before it sends it. The server's
 * own notifications have methods that start with `_agentvm/`; docs/sessions.md lists them.
 */
export interface SessionEventPayload {
  /** Id of the session. */
  sessionId: string;
  /** Notification of the agent. Its params carry the session id of this API. */
  event: SessionEvent;
  /** Number of the event, as in `getSequencedEvents` and `getSessionEvents`. */
  sequenceNumber: number;
}

/** Permission request of an agent. The agent waits until `respondPermission` answers or the request times out. */
export interface PermissionRequestPayload {
  /** Id of the session. */
  sessionId: string;
  /** The agent's request. */
  request: PermissionRequest;
}

/** Unexpected end of an agent's process. */
export interface AgentCrashedEvent {
  /** Id of the session. */
  sessionId: string;
  /** Exit code; 128 + n when signal n ended the agent. */
  exitCode: number;
  /** Name of the signal that ended the agent, such as `"SIGKILL"`; `null` when it exited. */
  signal: string | null;
  /** Last 64 KiB of the agent's stderr. */
  stderr: string;
  /** `true` if the next prompt restarts the agent. After three crashes in a row only `resumeSession` restarts it. */
  restart: boolean;
}

/** End of a call, sent to the connection that waits for it. */
export interface CallSettledEvent {
  /** Key of the call. */
  callId: string;
  /** Result or error of the call. */
  outcome: CallOutcome;
}
