import type {
  RequestPermissionOutcome,
  RequestPermissionRequest,
  SessionNotification,
} from "@agentclientprotocol/sdk";

/** A JSON-RPC notification whose method says what its parameters are. */
interface Notification<Method extends string, Params> {
  /** Version of JSON-RPC. */
  jsonrpc: "2.0";
  /** Method, which tells the types of `params` apart. */
  method: Method;
  /** Parameters. The server passes a `session/update` on as the agent sent it, with the session id of this API. */
  params: Params;
}

/** The agent's request, with the server's id. */
interface PermissionAsked extends RequestPermissionRequest {
  /** Id for `respondPermission`. */
  permissionId: string;
}

/** Answer to a permission request. */
interface PermissionResolved {
  /** Id of the session. */
  sessionId: string;
  /** Id of the request. */
  permissionId: string;
  /** Option that was selected, or `cancelled`. */
  outcome: RequestPermissionOutcome;
  /** Reason of the answer. docs/permissions.md lists the reasons. */
  reason: string;
}

/** Unexpected end of the agent's process. */
interface AgentCrash {
  /** Id of the session. */
  sessionId: string;
  /** Exit code; 128 + n when signal n ended the agent. */
  exitCode: number;
  /** Name of the signal that ended the agent; `null` when it exited. */
  signal: string | null;
  /** Description for people. */
  message: string;
  /** `true` if the next prompt restarts the agent. */
  restart: boolean;
}

/** Events that the transcript no longer has. */
interface EventsDropped {
  /** Number of the last dropped event. */
  through: number;
}

/**
 * Notification of a session, by its `method`: a `session/update` of the agent, or one of the server. An agent may also send
 * extensions of its own, whose methods start with `_`; ignore methods and updates that you do not know.
 *
 * @example
 * ```ts
 * conn.on("sessionEvent", ({ event }) => {
 *   if (event.method !== "session/update") return;
 *   const { update } = event.params;
 *   if (update.sessionUpdate === "agent_message_chunk" && update.content.type === "text") console.log(update.content.text);
 * });
 * ```
 */
export type SessionEvent =
  | Notification<"session/update", SessionNotification>
  | Notification<"session/request_permission", PermissionAsked>
  | Notification<"_agentvm/permission_resolved", PermissionResolved>
  | Notification<"_agentvm/agent_crashed", AgentCrash>
  | Notification<"_agentvm/events_dropped", EventsDropped>;
