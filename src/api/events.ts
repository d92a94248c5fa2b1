import type {
  AgentCrashedEvent,
  CallSettledEvent,
  CronEventPayload,
  FileChangedEvent,
  FilesReadOnlyEvent,
  LimitWarningEvent,
  NetworkDeniedEvent,
  NetworkRequestEvent,
  PermissionRequestPayload,
  PortClosedEvent,
  PortOpenedEvent,
  PreviewRequestEvent,
  ProcessExitEvent,
  ProcessOutputEvent,
  ServiceChangedEvent,
  SessionEventPayload,
  ShellDataEvent,
  ShellExitEvent,
  VmBootedEvent,
  VmShutdownEvent,
  WaitingForInputEvent,
} from "./event-types.ts";
import type { Guarded } from "./rights.ts";

export type * from "./event-types.ts";

/** Every event of a `vm` actor and its payload. */
export interface VmEvents {
  /** Output of a process that `spawn` or `run` started. */
  processOutput: ProcessOutputEvent;
  /** End of a process that `spawn` or `run` started. */
  processExit: ProcessExitEvent;
  /** Output of a shell. */
  shellData: ShellDataEvent;
  /** End of a shell. */
  shellExit: ShellExitEvent;
  /** A shell or process waits for input, or no longer does. A wait of less than 200 ms may go unnoticed. */
  waitingForInput: WaitingForInputEvent;
  /** Change of a file or directory that `watchFiles` watches. */
  fileChanged: FileChangedEvent;
  /** A TCP port inside the VM has begun to listen. */
  portOpened: PortOpenedEvent;
  /** A TCP port inside the VM has stopped listening. */
  portClosed: PortClosedEvent;
  /** The outbound policy has denied a connection. */
  networkDenied: NetworkDeniedEvent;
  /** A connection waits for an answer, because a rule of `ask` names its destination. */
  networkRequest: NetworkRequestEvent;
  /** A request to a preview with `log` has ended. */
  previewRequest: PreviewRequestEvent;
  /** The VM has booted. */
  vmBooted: VmBootedEvent;
  /** The VM has booted with files that could not be restored whole, and are read-only. Follows `vmBooted`. */
  filesReadOnly: FilesReadOnlyEvent;
  /** The state of a service has changed. In the order of the changes. */
  serviceChanged: ServiceChangedEvent;
  /** The VM has used 80 % of a limit. Once a crossing; again only after the use was below 70 %. */
  limitWarning: LimitWarningEvent;
  /** The VM is shutting down, or its sandbox has failed. */
  vmShutdown: VmShutdownEvent;
  /** A call over the connection has ended. This package's client handles it. */
  callSettled: CallSettledEvent;
  /** Event of one tick of a cron job. */
  cronEvent: CronEventPayload;
  /** Notification of an agent. */
  sessionEvent: SessionEventPayload;
  /** Permission request of an agent. */
  permissionRequest: PermissionRequestPayload;
  /** Unexpected end of an agent's process. */
  agentCrashed: AgentCrashedEvent;
}

/** Name of an event of a `vm` actor. */
export type VmEventName = keyof VmEvents;

/** An event that `getEventLog` returns. */
interface Logged {
  /** Whether the event is kept. */
  isLogged: true;
}

/**
 * The right that a token needs to subscribe to each event, and whether `getEventLog` returns the event. Output, changes of
 * files and transcripts have logs of their own.
 */
const EVENTS = {
  processOutput: { right: "exec", reads: true },
  processExit: { right: "exec", reads: true, isLogged: true },
  shellData: { right: "terminal" },
  shellExit: { right: "terminal", isLogged: true },
  waitingForInput: { right: "exec", reads: true, isLogged: true },
  fileChanged: { right: "files", reads: true },
  portOpened: { right: "network", reads: true, isLogged: true },
  portClosed: { right: "network", reads: true, isLogged: true },
  networkDenied: { right: "network", reads: true, isLogged: true },
  // A connection waits for an answer as long as somebody listens who may answer.
  networkRequest: { right: "admin" },
  previewRequest: { right: "network", reads: true },
  vmBooted: { right: "any", isLogged: true },
  filesReadOnly: { right: "any", isLogged: true },
  limitWarning: { right: "any", isLogged: true },
  serviceChanged: { right: "exec", reads: true, isLogged: true },
  vmShutdown: { right: "any", isLogged: true },
  callSettled: { right: "any" },
  cronEvent: { right: "cron", reads: true, isLogged: true },
  sessionEvent: { right: "sessions", reads: true },
  // An agent waits for an answer as long as somebody listens.
  permissionRequest: { right: "sessions" },
  agentCrashed: { right: "sessions", reads: true, isLogged: true },
} as const satisfies Record<VmEventName, Guarded & Partial<Logged>>;

/** The right that a token needs to subscribe to each event. */
export const EVENT_RIGHTS: Readonly<Record<VmEventName, Guarded>> = EVENTS;

/** Name of an event that `getEventLog` returns. */
export type LoggedEventName = {
  [Name in VmEventName]: (typeof EVENTS)[Name] extends Logged ? Name : never;
}[VmEventName];

/** Events that `getEventLog` returns. */
export const LOGGED_EVENTS = (Object.keys(EVENTS) as VmEventName[]).filter(
  (name): name is LoggedEventName => "isLogged" in EVENTS[name],
);
