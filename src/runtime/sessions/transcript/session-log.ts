import { CLIENT_METHODS } from "@agentclientprotocol/sdk";
import type { JsonRpcNotification } from "../../../api/methods/session-types.ts";
import type { Turn } from "../turn.ts";
import type { SessionState } from "./session-state.ts";
import type { Transcript } from "./transcript.ts";
import type { TranscriptEvent } from "./transcript-store.ts";

interface Arrival {
  /** Number of the notification's values, which take memory. */
  values: number;
  /** The agent's id of the session; `undefined` until the agent has opened it. */
  agentSessionId: string | undefined;
  /** `true` while the agent replays the conversation after session/load. */
  isReplaying: boolean;
}

/** Applies notifications of the agent and of the server to the session's settings and adds them to its transcript. */
export class SessionLog {
  readonly #state: SessionState;
  readonly #transcript: Transcript;
  #turn: Turn | undefined;

  constructor(state: SessionState, transcript: Transcript) {
    this.#state = state;
    this.#transcript = transcript;
  }

  /** The turn that the agent works on. */
  get turn(): Turn | undefined {
    return this.#turn;
  }

  /** Runs work in which the agent works on a turn. */
  async during<Result>(turn: Turn, work: () => Promise<Result>): Promise<Result> {
    this.#turn = turn;
    try {
      return await work();
    } finally {
      this.#turn = undefined;
    }
  }

  /** Applies a notification of the agent to the settings, the running turn and the transcript. */
  onNotification(message: JsonRpcNotification, { values, agentSessionId, isReplaying }: Arrival): void {
    if (isReserved(message.method)) return;
    const params = asObject(message.params);
    // Until the agent has answered session/new, its updates can only be about this session.
    const isOurs = agentSessionId === undefined || params.sessionId === agentSessionId;
    if (message.method === CLIENT_METHODS.session_update && isOurs) {
      this.#state.applyUpdate(params.update);
      if (!isReplaying) this.#turn?.addText(messageText(params.update));
    }
    if (isReplaying) return;
    const { sessionId } = this.#state.data;
    const own = isOurs && "sessionId" in params;
    this.#transcript.append(own ? { ...message, params: { ...params, sessionId } } : message, values);
  }

  /** Applies an update of the server, in the form of an agent's session/update. */
  update(update: { sessionUpdate: string; [field: string]: unknown }): void {
    this.#state.applyUpdate(update);
    this.append(CLIENT_METHODS.session_update, { update });
  }

  /** Adds a notification of the server to the transcript. */
  append(method: string, params: object): void {
    const { sessionId } = this.#state.data;
    this.#transcript.append({ jsonrpc: "2.0", method, params: { sessionId, ...params } });
  }

  /** Resolves when all appended events are stored. @throws AgentVmError `storage_failed` */
  flushed(): Promise<void> {
    return this.#transcript.flushed();
  }

  after(): AsyncGenerator<TranscriptEvent> {
    return this.#transcript.after();
  }
}

/** Methods that only the server may write. An agent could otherwise fake a permission request or its approval. */
function isReserved(method: string): boolean {
  return method.startsWith("_agentvm/") || method === CLIENT_METHODS.session_request_permission;
}

/** Text of an agent_message_chunk; "" for other updates. */
function messageText(update: unknown): string {
  const { sessionUpdate, content } = asObject(update);
  const { type, text } = asObject(content);
  return sessionUpdate === "agent_message_chunk" && type === "text" && typeof text === "string" ? text : "";
}

/** A copy of an object's fields; `{}` for any other value. */
export function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
