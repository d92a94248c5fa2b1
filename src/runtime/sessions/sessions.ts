import { AgentVmError } from "../../api/errors.ts";
import type {
  AgentType,
  CreateSessionOptions,
  GetSequencedEventsOptions,
  JsonRpcResponse,
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
} from "../../api/methods/session-types.ts";
import type { SessionMethods } from "../../api/methods/sessions.ts";
import { ResultBudget } from "../filesystem/result-budget.ts";
import type { SessionsDeps } from "./deps.ts";
import type { Session } from "./session.ts";
import { SessionTable } from "./session-table.ts";
import { exportPart } from "./transcript/export.ts";
import type { TranscriptEvent } from "./transcript/transcript-store.ts";

/** Result of a prompt that ran in its own session. */
export interface PromptOnce {
  /** `undefined` if no session could be opened. */
  sessionId: string | undefined;
  text: string;
  /** `undefined` if the prompt succeeded. */
  error: unknown;
  timedOut: boolean;
}

const IN_PARTS = "Read fewer at once: getSequencedEvents with `since` and `limit`.";

/** Conversations with agents: the session methods of the API. */
export class Sessions implements SessionMethods {
  readonly #deps: Pick<SessionsDeps, "agents" | "maxResultBytes">;
  readonly #table: SessionTable;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
    this.#table = new SessionTable(deps);
  }

  /** Prepares for the end of the sandbox. Running agents end with it, and the next prompt restarts them. */
  down(): void {
    this.#table.suspend();
  }

  /** Whether the VM has a session. Sessions count once a call has loaded them. */
  has(sessionId: string): boolean {
    return this.#table.has(sessionId);
  }

  /** Refuses further calls. Agents end with the sandbox. */
  stop(): void {
    this.#table.stop();
  }

  /** Resolves when all records and events are stored, or could not be. */
  async settled(): Promise<void> {
    await this.#table.settled();
  }

  async createSession(agentType: string, options?: CreateSessionOptions): Promise<SessionRecord> {
    return (await this.#table.create(agentType, options)).record;
  }

  async resumeSession(sessionId: string): Promise<SessionRecord> {
    const session = await this.#table.find("resumeSession", sessionId);
    await this.#table.resume(session);
    return session.record;
  }

  async closeSession(sessionId: string): Promise<void> {
    // As in agentOS, whose programs may close what they have destroyed.
    if (this.#table.isDestroyed(sessionId)) return;
    await this.#table.close(await this.#table.find("closeSession", sessionId));
  }

  async destroySession(sessionId: string): Promise<void> {
    await this.#table.destroy(await this.#table.find("destroySession", sessionId));
  }

  async listSessions(): Promise<SessionRecord[]> {
    const sessions = await this.#table.list("listSessions");
    return sessions.filter((session) => !session.isClosed).map(({ record }) => record);
  }

  /** Number of open sessions. Never boots the VM. */
  count(): Promise<number> {
    return this.#table.countOpen();
  }

  /** Number of sessions whose agent answers a prompt. */
  get promptsRunning(): number {
    return this.#table.countPrompting();
  }

  async listPersistedSessions(): Promise<PersistedSessionRecord[]> {
    const sessions = await this.#table.list("listPersistedSessions");
    return sessions.map(({ persistedRecord }) => persistedRecord);
  }

  async getSession(sessionId: string): Promise<SessionInfo> {
    return (await this.#table.find("getSession", sessionId)).info();
  }

  async listAgents(): Promise<AgentType[]> {
    return this.#deps.agents.list();
  }

  async sendPrompt(sessionId: string, prompt: string): Promise<PromptResult> {
    return (await this.#table.find("sendPrompt", sessionId)).prompts.prompt(prompt);
  }

  prompt(sessionId: string, text: string): Promise<PromptResult> {
    return this.sendPrompt(sessionId, text);
  }

  /** Runs one prompt in a new session and closes the session afterwards. Never rejects. */
  async promptOnce(
    { agentType, prompt, options }: { agentType: string; prompt: string; options?: CreateSessionOptions },
    timeoutMs: number | undefined,
  ): Promise<PromptOnce> {
    let session: Session | undefined;
    let timedOut = false;
    let timer: NodeJS.Timeout | undefined;
    const start = new AbortController();
    if (timeoutMs) {
      timer = setTimeout(() => {
        timedOut = true;
        start.abort();
        session?.prompts.cancelAll();
      }, timeoutMs);
    }
    try {
      session = await this.#table.create(agentType, options, start.signal);
      start.signal.throwIfAborted();
      const { response, text } = await session.prompts.prompt(prompt);
      const error = response.error && new AgentVmError("agent_error", response.error.message);
      return { sessionId: session.id, text, error, timedOut };
    } catch (error) {
      return { sessionId: session?.id, text: "", error, timedOut };
    } finally {
      clearTimeout(timer);
      // Fails if a client has destroyed the session meanwhile, or if the VM stops.
      if (session !== undefined) await this.closeSession(session.id).catch(() => undefined);
    }
  }

  async cancelPrompt(sessionId: string): Promise<JsonRpcResponse> {
    return (await this.#table.find("cancelPrompt", sessionId)).prompts.cancel();
  }

  async cancelSession(sessionId: string): Promise<JsonRpcResponse> {
    return (await this.#table.find("cancelSession", sessionId)).prompts.cancelAll();
  }

  async respondPermission(sessionId: string, permissionId: string, reply: string): Promise<JsonRpcResponse> {
    return (await this.#table.find("respondPermission", sessionId)).respondPermission(permissionId, reply);
  }

  async setMode(sessionId: string, modeId: string): Promise<JsonRpcResponse> {
    return (await this.#table.find("setMode", sessionId)).control().setMode(modeId);
  }

  async setModel(sessionId: string, model: string): Promise<JsonRpcResponse> {
    return (await this.#table.find("setModel", sessionId)).control().setModel(model);
  }

  async setThoughtLevel(sessionId: string, level: string): Promise<JsonRpcResponse> {
    return (await this.#table.find("setThoughtLevel", sessionId)).control().setThoughtLevel(level);
  }

  async getModes(sessionId: string): Promise<SessionModeState | null> {
    return (await this.#table.find("getModes", sessionId)).modes();
  }

  async getConfigOptions(sessionId: string): Promise<SessionConfigOption[]> {
    return (await this.#table.find("getConfigOptions", sessionId)).configOptions();
  }

  async getSequencedEvents(
    sessionId: string,
    { since = -1, limit = Number.POSITIVE_INFINITY }: GetSequencedEventsOptions = {},
  ): Promise<SequencedSessionEvent[]> {
    return this.#events("getSequencedEvents", sessionId, { since, limit }, (event) => ({
      sequenceNumber: event.seq,
      notification: event.notification,
    }));
  }

  async getSessionEvents(sessionId: string): Promise<PersistedSessionEvent[]> {
    const all = { since: -1, limit: Number.POSITIVE_INFINITY };
    return this.#events("getSessionEvents", sessionId, all, (event) => ({
      sessionId,
      seq: event.seq,
      event: event.notification,
      createdAt: event.createdAt,
    }));
  }

  async readTranscript(
    sessionId: string,
    { format = "markdown", after = -1 }: ReadTranscriptOptions = {},
  ): Promise<TranscriptPart> {
    const session = await this.#table.find("readTranscript", sessionId);
    return await exportPart(format, {
      record: session.persistedRecord,
      after,
      events: session.events(after),
    });
  }

  async #events<Event>(
    action: string,
    sessionId: string,
    { since, limit }: Required<GetSequencedEventsOptions>,
    toResult: (event: TranscriptEvent) => Event,
  ): Promise<Event[]> {
    const session = await this.#table.find(action, sessionId);
    const budget = new ResultBudget(action, this.#deps.maxResultBytes, IN_PARTS);
    const events: Event[] = [];
    for await (const event of session.events(since)) {
      const entry = toResult(event);
      budget.add(entry);
      events.push(entry);
      if (events.length >= limit) break;
    }
    return events;
  }
}
