import type { Env } from "../values.ts";
import type { SessionEvent } from "./session-event.ts";

/** Error of a JSON-RPC response. */
export interface JsonRpcError {
  /** Number of the error, as JSON-RPC or the agent defines it. */
  code: number;
  /** Description for people. */
  message: string;
  /** Details of the agent. */
  data?: unknown;
}

/** JSON-RPC response of an agent, or of agent-vm in the agent's place. */
export interface JsonRpcResponse {
  /** Version of JSON-RPC. */
  jsonrpc: "2.0";
  /** Id of the request. */
  id: string | number | null;
  /** Result; absent when there is an `error`. */
  result?: unknown;
  /** Error; absent when there is a `result`. */
  error?: JsonRpcError;
}

/** JSON-RPC notification of an agent. */
export interface JsonRpcNotification {
  /** Version of JSON-RPC. */
  jsonrpc: "2.0";
  /** Method, such as `"session/update"`. */
  method: string;
  /** Parameters as the agent sent them. */
  params?: unknown;
}

/** Answer to a permission request: allow this time, allow from now on, or deny. */
export type PermissionReply = "once" | "always" | "reject";

/** Answers to permission requests: `ask` asks hook and clients, `allow_all` allows and `reject_all` denies everything. */
export type PermissionPolicy = "ask" | "allow_all" | "reject_all";

/** An agent's request for permission. */
export interface PermissionRequest {
  /** Id for `respondPermission`. Assigned by agent-vm: an agent's own request ids restart with each of its processes. */
  permissionId: string;
  /** Action that needs permission, in the agent's words. */
  description?: string;
  /**
   * Parameters of the agent's request: `toolCall`, and the `options` that the agent offers. `getSession` leaves `params` out past 8 MiB of all requests;
   * the request's event has them.
   */
  params?: unknown;
}

/** A mode of an agent. */
export interface SessionMode {
  /** Id for `setMode`. */
  id: string;
  /** Name, in the agent's words. */
  name?: string;
  /** Name, in the agent's words: agentOS's field for `name`. */
  label?: string;
  /** Description, in the agent's words. */
  description?: string;
}

/** The modes of an agent. */
export interface SessionModeState {
  /** Id of the current mode. */
  currentModeId: string;
  /** Modes that the agent offers. */
  availableModes: SessionMode[];
}

/** A setting of an agent. */
export interface SessionConfigOption {
  /** Id of the setting. */
  id: string;
  /** Kind of the setting: `"mode"`, `"model"`, `"thought_level"`, or a word of the agent's. */
  category?: string;
  /** Name, in the agent's words. */
  label?: string;
  /** Description, in the agent's words. */
  description?: string;
  /** Current value; `"true"` or `"false"` for a switch. */
  currentValue?: string;
  /** Values that the agent offers. */
  allowedValues?: {
    /** Value. */
    id: string;
    /** Name of the value, in the agent's words. */
    label?: string;
  }[];
  /** `true` when the setting cannot be changed. */
  readOnly?: boolean;
}

/** A session with an agent. */
export interface SessionRecord {
  /** Id of the session. */
  sessionId: string;
  /** Agent as given to `createSession`. */
  agentType: string;
  /**
   * Capabilities that the agent announced when it started. `listPersistedSessions` and `readTranscript` leave capabilities and name of a closed session out
   * if they have more than 2 KiB as JSON; `getSession` has them.
   */
  capabilities: Record<string, unknown>;
  /** Name and version that the agent announced; `null` when it announced none, and as `capabilities` says. */
  agentInfo: Record<string, unknown> | null;
}

/** A session with a transcript. */
export interface PersistedSessionRecord extends SessionRecord {
  /** Time of creation, in milliseconds since the Unix epoch. */
  createdAt: number;
  /** `true` after `closeSession`. The transcript is kept, and `resumeSession` opens the session again. */
  closed: boolean;
}

/**
 * State of a session: `running` while the agent answers a prompt, `idle` between prompts, `dormant` when the agent does
 * not run and starts with the next prompt, `closed` after `closeSession`.
 */
export type SessionStatus = "running" | "idle" | "dormant" | "closed";

/** A session and its state. */
export interface SessionInfo extends PersistedSessionRecord {
  /** State: `running`, `idle`, `dormant` (the agent starts with the next prompt) or `closed`. */
  status: SessionStatus;
  /** Working directory of the agent, an absolute path. */
  cwd: string;
  /** Answers to permission requests: `ask`, `allow_all` or `reject_all`. */
  permissionPolicy: PermissionPolicy;
  /** Number of prompts that wait, without the running one. */
  queuedPrompts: number;
  /** Permission requests that wait for an answer. */
  pendingPermissions: PermissionRequest[];
  /** Number of the newest event; -1 before the first. */
  lastSequenceNumber: number;
  /** Process id of the agent inside the VM; `null` while the agent does not run. */
  pid: number | null;
}

/** An event of a session's transcript. */
export interface PersistedSessionEvent {
  /** Id of the session. */
  sessionId: string;
  /** Number of the event: the `sequenceNumber` of its `sessionEvent`. */
  seq: number;
  /** Notification of the agent. */
  event: SessionEvent;
  /** Time of the event, in milliseconds since the Unix epoch. */
  createdAt: number;
}

/** An event of a session, by number. */
export interface SequencedSessionEvent {
  /** Number of the event: counts the events of one session from 0. */
  sequenceNumber: number;
  /** Notification of the agent. */
  notification: SessionEvent;
}

/** Options of `getSequencedEvents`. */
export interface GetSequencedEventsOptions {
  /** Only events with a larger number. @default -1, every event */
  since?: number;
  /** Largest number of events to return, oldest first. @default no limit */
  limit?: number;
}

/** Result of a prompt. */
export interface PromptResult {
  /** The agent's answer with its `stopReason`, or its `error`. */
  response: JsonRpcResponse;
  /** Text that the agent wrote in this turn, without its thoughts, at most 8 MiB. */
  text: string;
}

/** An MCP server that the agent starts inside the VM. */
export interface McpServerConfigLocal {
  /** Kind of the server. @default "local" for a server with a `command` */
  type?: "local";
  /** Name of the server. @default "mcp-1", "mcp-2", ... by position */
  name?: string;
  /** Program that the agent starts inside the VM. */
  command: string;
  /** Arguments of the program. @default [] */
  args?: string[];
  /** Variables of the program. @default {} */
  env?: Env;
}

/** An MCP server that the agent reaches over HTTP from inside the VM. */
export interface McpServerConfigRemote {
  /** Kind of the server. @default "remote" for a server with a `url` */
  type?: "remote";
  /** Name of the server. @default "mcp-1", "mcp-2", ... by position */
  name?: string;
  /** URL that the agent reaches from inside the VM. The outbound policy must allow it. */
  url: string;
  /** Headers of each request. @default {} */
  headers?: Record<string, string>;
}

/** An MCP server for an agent. */
export type McpServerConfig = McpServerConfigLocal | McpServerConfigRemote;

/** Options of `createSession`. */
export interface CreateSessionOptions {
  /** Working directory of the agent: an existing directory, as an absolute path. @default "/workspace" */
  cwd?: string;
  /** Variables of the agent's process. They are stored with the session and set again when it resumes. @default {} */
  env?: Env;
  /** MCP servers for the agent. @default [] */
  mcpServers?: McpServerConfig[];
  /** `true` leaves out the description of the machine in /etc/agentos/instructions.md. @default false */
  skipOsInstructions?: boolean;
  /** Further instructions for the agent. @default none */
  additionalInstructions?: string;
  /** Answers to permission requests: `ask`, `allow_all` or `reject_all`. @default "ask" */
  permissionPolicy?: PermissionPolicy;
}

/** An agent that `createSession` takes. */
export interface AgentType {
  /** Id: the `agentType` of `createSession`. */
  id: string;
  /** Name for people. */
  title: string;
  /** `true` when the agent can be started. */
  installed: boolean;
  /** Version of the agent's package; `null` for an agent that is not installed, or of the `agents` option. */
  version: string | null;
  /** Why the agent cannot be started, and the remedy; `null` when it can. */
  reason: string | null;
}

/** Form of a transcript: Markdown for people, or JSON with every event. */
export type TranscriptFormat = "markdown" | "json";

/** Options of `readTranscript`. */
export interface ReadTranscriptOptions {
  /**
   * `markdown`: for people; `json`: `{ session, events: [{ seq, createdAt, event }] }` with every event. An event of more than 17 MiB as JSON is `null`, and
   * `bytes` is beside it. @default "markdown"
   */
  format?: TranscriptFormat;
  /** `last` of the part before. @default -1, from the beginning */
  after?: number;
}

/** A part of a transcript. */
export interface TranscriptPart {
  /** Text. The parts, one after the other, are one document. About 4 MiB, or more if one event alone is larger. */
  data: string;
  /** Number of the last event in `data`, for `after`; the given `after` if there is nothing more. */
  last: number;
  /** `true` if the document is whole: it has every event until now. */
  end: boolean;
}
