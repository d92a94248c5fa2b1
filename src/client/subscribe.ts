import type { VmEvents } from "../api/events.ts";

/** Payload of `vmRestarted`: no fields. */
type VmRestartedEvent = Record<never, never>;

/** Events that a connection offers. The client itself handles `callSettled`. */
interface OfferedEvents extends Omit<VmEvents, "callSettled"> {
  /**
   * Another instance of the VM answers than before: the server has restarted, or the VM has moved. Files are there again.
   * Processes of the earlier instance have ended, and its calls reject with `call_lost`. The client itself makes this event.
   */
  vmRestarted: VmRestartedEvent;
}

/** Receives the payload of an event. */
type Listener<Name extends keyof OfferedEvents> = (payload: OfferedEvents[Name]) => void;

/** Ends a subscription. */
export type Unsubscribe = () => void;

/** Subscribes to an event by its name. An editor shows the description of the event on a call. */
export interface Subscribe {
  /** Output of a process that `spawn` or `run` started. */
  (event: "processOutput", callback: Listener<"processOutput">): Unsubscribe;
  /** End of a process that `spawn` or `run` started. */
  (event: "processExit", callback: Listener<"processExit">): Unsubscribe;
  /** Output of a shell. */
  (event: "shellData", callback: Listener<"shellData">): Unsubscribe;
  /** End of a shell. */
  (event: "shellExit", callback: Listener<"shellExit">): Unsubscribe;
  /** A shell or process waits for input, or no longer does. A wait of less than 200 ms may go unnoticed. */
  (event: "waitingForInput", callback: Listener<"waitingForInput">): Unsubscribe;
  /** Change of a file or directory that `watchFiles` watches. */
  (event: "fileChanged", callback: Listener<"fileChanged">): Unsubscribe;
  /** A TCP port inside the VM has begun to listen. */
  (event: "portOpened", callback: Listener<"portOpened">): Unsubscribe;
  /** A TCP port inside the VM has stopped listening. */
  (event: "portClosed", callback: Listener<"portClosed">): Unsubscribe;
  /** The outbound policy has denied a connection. */
  (event: "networkDenied", callback: Listener<"networkDenied">): Unsubscribe;
  /** A connection waits for an answer, because a rule of `ask` names its destination. */
  (event: "networkRequest", callback: Listener<"networkRequest">): Unsubscribe;
  /** A request to a preview with `log` has ended. */
  (event: "previewRequest", callback: Listener<"previewRequest">): Unsubscribe;
  /** The VM has booted. */
  (event: "vmBooted", callback: Listener<"vmBooted">): Unsubscribe;
  /** The VM has booted with files that could not be restored whole, and are read-only. Follows `vmBooted`. */
  (event: "filesReadOnly", callback: Listener<"filesReadOnly">): Unsubscribe;
  /** The state of a service has changed. In the order of the changes. */
  (event: "serviceChanged", callback: Listener<"serviceChanged">): Unsubscribe;
  /** The VM has used 80 % of a limit. Once a crossing; again only after the use was below 70 %. */
  (event: "limitWarning", callback: Listener<"limitWarning">): Unsubscribe;
  /** The VM is shutting down, or its sandbox has failed. */
  (event: "vmShutdown", callback: Listener<"vmShutdown">): Unsubscribe;
  /** Another instance of the VM answers than before. */
  (event: "vmRestarted", callback: Listener<"vmRestarted">): Unsubscribe;
  /** Event of one tick of a cron job. */
  (event: "cronEvent", callback: Listener<"cronEvent">): Unsubscribe;
  /** Notification of an agent. */
  (event: "sessionEvent", callback: Listener<"sessionEvent">): Unsubscribe;
  /** Permission request of an agent. */
  (event: "permissionRequest", callback: Listener<"permissionRequest">): Unsubscribe;
  /** Unexpected end of an agent's process. */
  (event: "agentCrashed", callback: Listener<"agentCrashed">): Unsubscribe;
  /** Subscribes to an event whose name is a variable. */
  <Name extends keyof OfferedEvents>(event: Name, callback: Listener<Name>): Unsubscribe;
}
