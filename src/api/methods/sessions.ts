import { z } from "zod";
import { MAX_SESSION_EVENTS } from "../limits.ts";
import { id, integer, options, text } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";
import { sessionOptions } from "./session-options.ts";
import type {
  AgentType,
  CreateSessionOptions,
  GetSequencedEventsOptions,
  JsonRpcResponse,
  PermissionReply,
  PersistedSessionEvent,
  PersistedSessionRecord,
  PromptResult,
  ReadTranscriptOptions,
  SequencedSessionEvent,
  SessionConfigOption,
  SessionInfo,
  SessionModeState,
  SessionRecord,
  TranscriptPart,
} from "./session-types.ts";

const method = methodsOf("sessions");

const session = takes(["sessionId", id]);

const eventsOptions = options({
  since: integer(-1, Number.MAX_SAFE_INTEGER, "an integer from -1").optional(),
  limit: integer(1, MAX_SESSION_EVENTS, `an integer from 1 to ${MAX_SESSION_EVENTS}`).optional(),
}).optional();

const transcriptOptions = options({
  format: z.enum(["markdown", "json"], { error: '"markdown" or "json"' }).optional(),
  after: integer(-1, Number.MAX_SAFE_INTEGER, "an integer from -1").optional(),
}).optional();

/** Agent sessions: start a coding agent in the VM, prompt it, answer its permission requests, replay its transcript. */
export const SESSION_METHODS = {
  /**
   * Starts an agent in the VM and opens a session with it. A VM has at most 64 open sessions.
   *
   * @param agentType id of an agent, as `listAgents` returns it
   * @param options working directory, variables, MCP servers, instructions and permission policy
   * @throws AgentVmError `unknown_agent_type`; `agent_not_installed`; `agent_failed` with the end of the agent's stderr
   * when it does not start or refuses the session; `limit_exceeded`
   */
  createSession: method<(agentType: string, options?: CreateSessionOptions) => Promise<SessionRecord>>()({
    right: "sessions",
    input: takes(["agentType", id], ["options", sessionOptions.optional()]),
    boots: true,
    long: true,
  }),
  /** Lists the open sessions, oldest first, whether or not their agents run. */
  listSessions: method<() => Promise<SessionRecord[]>>()({ right: "sessions", input: takes(), reads: true }),
  /** Lists every session with a transcript, closed sessions included, oldest first. */
  listPersistedSessions: method<() => Promise<PersistedSessionRecord[]>>()({
    right: "sessions",
    input: takes(),
    reads: true,
  }),
  /**
   * Describes a session: its state, queue, pending permission requests and newest event.
   *
   * @param sessionId id that `createSession` returned
   * @throws AgentVmError `session_not_found`
   */
  getSession: method<(sessionId: string) => Promise<SessionInfo>>()({
    right: "sessions",
    input: session,
    reads: true,
  }),
  /**
   * Starts the agent of a closed or dormant session now. A dormant session also resumes with its next prompt.
   *
   * @param sessionId id that `createSession` returned
   * @throws AgentVmError `session_not_found`; `agent_failed`; `limit_exceeded` when 64 sessions are open
   */
  resumeSession: method<(sessionId: string) => Promise<SessionRecord>>()({
    right: "sessions",
    input: session,
    boots: true,
  }),
  /** Lists the agents that `createSession` takes, installed or not. */
  listAgents: method<() => Promise<AgentType[]>>()({ right: "sessions", input: takes(), reads: true }),
  /**
   * Sends a prompt and returns when the agent has ended its turn: an alias of `prompt`. Prompts of one session run one
   * after the other. A JSON-RPC error of the agent is returned as `response.error`.
   *
   * @param sessionId id that `createSession` returned
   * @param prompt text of at most 8 MiB
   * @throws AgentVmError `session_not_found`; `agent_crashed` when the agent ended in its turn; `agent_failed` when it
   * could not be started
   */
  sendPrompt: method<(sessionId: string, prompt: string) => Promise<PromptResult>>()({
    right: "sessions",
    input: takes(["sessionId", id], ["prompt", text]),
    boots: true,
    long: true,
    signal: true,
  }),
  /**
   * Sends a prompt and returns when the agent has ended its turn. Prompts of one session run one after the other. A
   * JSON-RPC error of the agent is returned as `response.error`. `sendPrompt` is an alias.
   *
   * @param sessionId id that `createSession` returned
   * @param text text of at most 8 MiB
   * @throws AgentVmError `session_not_found`; `agent_crashed` when the agent ended in its turn; `agent_failed` when it
   * could not be started
   * @example
   * ```ts
   * const { sessionId } = await agent.createSession("claude", { permissionPolicy: "allow_all" });
   * const { text } = await agent.prompt(sessionId, "Write a hello world server in /workspace.");
   * ```
   */
  prompt: method<(sessionId: string, text: string) => Promise<PromptResult>>()({
    right: "sessions",
    input: takes(["sessionId", id], ["text", text]),
    boots: true,
    long: true,
    signal: true,
  }),
  /**
   * Asks the agent to end its turn; the prompt returns with stopReason `cancelled`. An agent that goes on for 10 s more
   * is killed.
   *
   * @param sessionId id that `createSession` returned
   * @returns `result.cancelled`: `true` if a prompt was running
   * @throws AgentVmError `session_not_found`
   */
  cancelPrompt: method<(sessionId: string) => Promise<JsonRpcResponse>>()({
    right: "sessions",
    input: session,
  }),
  /**
   * Cancels the running prompt like `cancelPrompt`, and every queued one.
   *
   * @param sessionId id that `createSession` returned
   * @returns `result.cancelled`: `true` if there was any prompt
   * @throws AgentVmError `session_not_found`
   */
  cancelSession: method<(sessionId: string) => Promise<JsonRpcResponse>>()({
    right: "sessions",
    input: session,
  }),
  /**
   * Ends the agent and every process that it started. The transcript stays, and `resumeSession` opens the session again.
   *
   * @param sessionId id that `createSession` returned
   * @throws AgentVmError `session_not_found`
   */
  closeSession: method<(sessionId: string) => Promise<void>>()({ right: "sessions", input: session }),
  /**
   * Ends the agent like `closeSession` and deletes the session's transcript.
   *
   * @param sessionId id that `createSession` returned
   * @throws AgentVmError `session_not_found`
   */
  destroySession: method<(sessionId: string) => Promise<void>>()({ right: "sessions", input: session }),
  /**
   * Answers a permission request of an agent, as a `permissionRequest` event carries it.
   *
   * @param sessionId id that `createSession` returned
   * @param permissionId id of the request
   * @param reply `once`, `always` or `reject`, or an optionId that the agent offers
   * @throws AgentVmError `session_not_found`; `permission_not_found` for a request that is answered or has expired
   */
  respondPermission: method<
    (
      sessionId: string,
      permissionId: string,
      reply: PermissionReply | (string & {}),
    ) => Promise<JsonRpcResponse>
  >()({ right: "sessions", input: takes(["sessionId", id], ["permissionId", id], ["reply", id]) }),
  /**
   * Changes the agent's mode.
   *
   * @param sessionId id that `createSession` returned
   * @param modeId id of a mode, as `getModes` returns it
   * @returns the agent's answer; error -32601 when the agent has no modes
   * @throws AgentVmError `session_not_found`
   */
  setMode: method<(sessionId: string, modeId: string) => Promise<JsonRpcResponse>>()({
    right: "sessions",
    input: takes(["sessionId", id], ["modeId", id]),
  }),
  /**
   * Changes the agent's model.
   *
   * @param sessionId id that `createSession` returned
   * @param model value of the agent's `model` setting, as `getConfigOptions` returns it
   * @returns the agent's answer; error -32601 when the agent's model cannot be chosen
   * @throws AgentVmError `session_not_found`
   */
  setModel: method<(sessionId: string, model: string) => Promise<JsonRpcResponse>>()({
    right: "sessions",
    input: takes(["sessionId", id], ["model", id]),
  }),
  /**
   * Changes how long the agent thinks.
   *
   * @param sessionId id that `createSession` returned
   * @param level value of the agent's `thought_level` setting, as `getConfigOptions` returns it
   * @returns the agent's answer; error -32601 when the agent has no such setting
   * @throws AgentVmError `session_not_found`
   */
  setThoughtLevel: method<(sessionId: string, level: string) => Promise<JsonRpcResponse>>()({
    right: "sessions",
    input: takes(["sessionId", id], ["level", id]),
  }),
  /**
   * Returns the agent's modes; `null` when the agent has no modes.
   *
   * @param sessionId id that `createSession` returned
   * @throws AgentVmError `session_not_found`
   */
  getModes: method<(sessionId: string) => Promise<SessionModeState | null>>()({
    right: "sessions",
    input: session,
    reads: true,
    nullable: true,
  }),
  /**
   * Lists the agent's settings with their current and possible values.
   *
   * @param sessionId id that `createSession` returned
   * @throws AgentVmError `session_not_found`
   */
  getConfigOptions: method<(sessionId: string) => Promise<SessionConfigOption[]>>()({
    right: "sessions",
    input: session,
    reads: true,
  }),
  /**
   * Returns events of a session by number, such as events that a client has missed.
   *
   * @param sessionId id that `createSession` returned
   * @param options `since` and `limit`. @default every event
   * @throws AgentVmError `session_not_found`; `response_too_large`: ask with a `limit`
   */
  getSequencedEvents: method<
    (sessionId: string, options?: GetSequencedEventsOptions) => Promise<SequencedSessionEvent[]>
  >()({ right: "sessions", input: takes(["sessionId", id], ["options", eventsOptions]), reads: true }),
  /**
   * Returns the whole transcript of a session, oldest event first.
   *
   * @param sessionId id that `createSession` returned
   * @throws AgentVmError `session_not_found`; `response_too_large`: use `getSequencedEvents` with a `limit`
   */
  getSessionEvents: method<(sessionId: string) => Promise<PersistedSessionEvent[]>>()({
    right: "sessions",
    input: session,
    reads: true,
  }),
  /**
   * Returns the transcript of a session as a document, part by part: Markdown for people, or JSON. Also of a closed session. In
   * Markdown all text of the agent is in code, so that it cannot pass for a part of the document.
   *
   * @param sessionId id that `createSession` returned
   * @param options `format`, and `after`: `last` of the part before
   * @throws AgentVmError `session_not_found`
   * @example
   * ```ts
   * for (let after = -1, end = false; !end; ) {
   *   const part = await agent.readTranscript(sessionId, { format: "markdown", after });
   *   process.stdout.write(part.data);
   *   [after, end] = [part.last, part.end];
   * }
   * ```
   */
  readTranscript: method<(sessionId: string, options?: ReadTranscriptOptions) => Promise<TranscriptPart>>()({
    right: "sessions",
    input: takes(["sessionId", id], ["options", transcriptOptions]),
    reads: true,
  }),
};

export type SessionMethods = CallsOf<typeof SESSION_METHODS>;
