import { CLIENT_METHODS } from "@agentclientprotocol/sdk";
import type { JsonRpcNotification } from "../../api/types.ts";
import type { SessionState } from "./session-state.ts";
import type { Transcript } from "./transcript.ts";
import type { SessionEvent } from "./transcript-store.ts";
import type { Turn } from "./turn.ts";

/** Where an agent's notification comes in. */
export interface Hearing {
  /** `undefined` until the agent has opened it. */
  agentSessionId: string | undefined;
  /** It tells what it has told before. */
  isReplaying: boolean;
  /** The turn that is under way. */
  turn: Turn | undefined;
}

/** What is said in a session, by its agent and by us, on its way into the transcript. */
export class SessionLog {
  readonly #state: SessionState;
  readonly #transcript: Transcript;

  constructor(state: SessionState, transcript: Transcript) {
    this.#state = state;
    this.#transcript = transcript;
  }

  /** The agent says something: the settings, the turn and the transcript take from it what is theirs. */
  hear(message: JsonRpcNotification, { agentSessionId, isReplaying, turn }: Hearing): void {
    if (isReserved(message.method)) return;
    const params = asObject(message.params);
    // Before it has answered session/new, an agent can only speak of this session.
    const isOurs = agentSessionId === undefined || params.sessionId === agentSessionId;
    if (message.method === CLIENT_METHODS.session_update && isOurs) {
      this.#state.heed(params.update);
      if (!isReplaying) turn?.say(saidBy(params.update));
    }
    if (isReplaying) return;
    const { sessionId } = this.#state.data;
    const own = isOurs && "sessionId" in params;
    this.#transcript.append(own ? { ...message, params: { ...params, sessionId } } : message);
  }

  /** An update of ours, as if the agent had sent it. */
  update(update: { sessionUpdate: string; [field: string]: unknown }): void {
    this.#state.heed(update);
    this.tell(CLIENT_METHODS.session_update, { update });
  }

  tell(method: string, params: object): void {
    const { sessionId } = this.#state.data;
    this.#transcript.append({ jsonrpc: "2.0", method, params: { sessionId, ...params } });
  }

  /** See Transcript. */
  flushed(): Promise<void> {
    return this.#transcript.flushed();
  }

  after(since?: number): AsyncGenerator<SessionEvent> {
    return this.#transcript.after(since);
  }
}

/** What only we tell of: an agent could make a user believe that a permission was asked for, or given. */
function isReserved(method: string): boolean {
  return method.startsWith("_agentvm/") || method === CLIENT_METHODS.session_request_permission;
}

/** Text of an agent_message_chunk; nothing for other updates. */
function saidBy(update: unknown): string {
  const { sessionUpdate, content } = asObject(update);
  const { type, text } = asObject(content);
  return sessionUpdate === "agent_message_chunk" && type === "text" && typeof text === "string" ? text : "";
}

/** The fields of what may be no object at all. */
export function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
