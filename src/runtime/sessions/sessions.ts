import type { SessionMethods } from "../../api/actions.ts";
import {
  AgentVmError,
  limitExceeded,
  noKernelSandbox,
  sessionNotFound,
  vmStopped,
} from "../../api/errors.ts";
import { MAX_CLOSED_SESSIONS, MAX_SESSIONS } from "../../api/limits.ts";
import type {
  AgentType,
  CreateSessionOptions,
  GetSequencedEventsOptions,
  JsonRpcResponse,
  PersistedSessionEvent,
  PersistedSessionRecord,
  PromptResult,
  SequencedSessionEvent,
  SessionConfigOption,
  SessionInfo,
  SessionModeState,
  SessionRecord,
} from "../../api/types.ts";
import { ResultBudget } from "../filesystem/result-budget.ts";
import { SessionRecords } from "./records.ts";
import { Session } from "./session.ts";
import type { SessionSurroundings } from "./surroundings.ts";
import type { SessionEvent } from "./transcript-store.ts";

export interface SessionsSettings extends Omit<SessionSurroundings, "records"> {
  /** Whether there is something that agents can run in. */
  hasProcesses: boolean;
  maxResultBytes: number;
}

/** What came of a prompt in a session of its own. */
export interface PromptOnce {
  sessionId: string | undefined;
  text: string;
  /** What it failed of. */
  error: unknown;
  timedOut: boolean;
}

const IN_PARTS = "Ask for it in parts: getSequencedEvents with `since` and `limit`.";

/** Conversations with agents, open and closed. What is stored of them is read with the first call. */
export class Sessions implements SessionMethods {
  readonly #settings: SessionsSettings;
  readonly #records: SessionRecords;
  /** In the order of their creation. */
  readonly #table = new Map<string, Session>();
  /** Those that createSession has not answered for yet: nobody else knows of them. */
  readonly #creating = new Set<Session>();
  #loading: Promise<void> | undefined;
  #opening = 0;
  #stopped = false;

  constructor(settings: SessionsSettings) {
    this.#settings = settings;
    this.#records = new SessionRecords(settings.store);
  }

  // ------------------------------------------------------------- lifecycle

  async createSession(agentType: string, options?: CreateSessionOptions): Promise<SessionRecord> {
    return (await this.#create(agentType, options)).record;
  }

  /** @param signal gives up an agent that starts. */
  async #create(
    agentType: string,
    options: CreateSessionOptions = {},
    signal?: AbortSignal,
  ): Promise<Session> {
    await this.#ready("createSession");
    const session = new Session({ sessionId: crypto.randomUUID(), agentType, options }, this.#surroundings);
    const giveUp = () => void session.destroy().catch(() => undefined);
    await this.#within(async () => {
      this.#creating.add(session);
      signal?.addEventListener("abort", giveUp);
      try {
        await session.open();
        this.#table.set(session.id, session);
      } catch (error) {
        // What the caller has to hear of is why it failed at first.
        await session.destroy().catch(() => undefined);
        throw error;
      } finally {
        signal?.removeEventListener("abort", giveUp);
        this.#creating.delete(session);
      }
    });
    return session;
  }

  async resumeSession(sessionId: string): Promise<SessionRecord> {
    await this.#ready("resumeSession");
    const session = this.#known(sessionId);
    if (session.isClosed) await this.#within(() => session.open());
    else await session.open();
    return session.record;
  }

  async closeSession(sessionId: string): Promise<void> {
    await this.#ready("closeSession");
    await this.#known(sessionId).close();
    const closed = [...this.#table.values()].filter((session) => session.isClosed);
    for (const session of closed.slice(0, Math.max(0, closed.length - MAX_CLOSED_SESSIONS))) {
      // Somebody else may be at it.
      if (this.#table.get(session.id) === session) await this.#destroy(session);
    }
  }

  async destroySession(sessionId: string): Promise<void> {
    await this.#ready("destroySession");
    await this.#destroy(this.#known(sessionId));
  }

  async #destroy(session: Session): Promise<void> {
    await session.destroy();
    this.#table.delete(session.id);
  }

  /** The VM is about to end or to boot anew: agents that run end with it, and come back with their next prompt. */
  suspend(): void {
    for (const session of this.#all) session.suspend();
  }

  /** No more calls. Agents end with the sandbox. */
  stop(): void {
    this.#stopped = true;
    this.suspend();
  }

  /** Resolves when nothing is left to be stored. */
  async settled(): Promise<void> {
    await Promise.all(this.#all.map((session) => session.settled()));
  }

  // ------------------------------------------------------------------ list

  async listSessions(): Promise<SessionRecord[]> {
    await this.#ready("listSessions");
    return [...this.#table.values()].filter((session) => !session.isClosed).map(({ record }) => record);
  }

  async listPersistedSessions(): Promise<PersistedSessionRecord[]> {
    await this.#ready("listPersistedSessions");
    return [...this.#table.values()].map(({ persistedRecord }) => persistedRecord);
  }

  async getSession(sessionId: string): Promise<SessionInfo> {
    await this.#ready("getSession");
    return this.#known(sessionId).info();
  }

  async listAgents(): Promise<AgentType[]> {
    return this.#settings.agents.list();
  }

  // --------------------------------------------------------------- prompts

  async sendPrompt(sessionId: string, prompt: string): Promise<PromptResult> {
    await this.#ready("sendPrompt");
    return this.#known(sessionId).prompt(prompt);
  }

  prompt(sessionId: string, text: string): Promise<PromptResult> {
    return this.sendPrompt(sessionId, text);
  }

  /** One prompt in a session of its own, which is closed afterwards whatever comes of it. Never rejects. */
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
        session?.cancel(true);
      }, timeoutMs);
    }
    try {
      session = await this.#create(agentType, options, start.signal);
      const { response, text } = await session.prompt(prompt);
      const error = response.error && new AgentVmError("agent_error", response.error.message);
      return { sessionId: session.id, text, error, timedOut };
    } catch (error) {
      return { sessionId: session?.id, text: "", error, timedOut };
    } finally {
      clearTimeout(timer);
      // It may have been destroyed meanwhile, or the VM be ending.
      if (session !== undefined) await this.closeSession(session.id).catch(() => undefined);
    }
  }

  async cancelPrompt(sessionId: string): Promise<JsonRpcResponse> {
    await this.#ready("cancelPrompt");
    return this.#known(sessionId).cancel(false);
  }

  async cancelSession(sessionId: string): Promise<JsonRpcResponse> {
    await this.#ready("cancelSession");
    return this.#known(sessionId).cancel(true);
  }

  async respondPermission(sessionId: string, permissionId: string, reply: string): Promise<JsonRpcResponse> {
    await this.#ready("respondPermission");
    return this.#known(sessionId).respondPermission(permissionId, reply);
  }

  // -------------------------------------------------------------- settings

  async setMode(sessionId: string, modeId: string): Promise<JsonRpcResponse> {
    await this.#ready("setMode");
    return this.#known(sessionId).control().setMode(modeId);
  }

  async setModel(sessionId: string, model: string): Promise<JsonRpcResponse> {
    await this.#ready("setModel");
    return this.#known(sessionId).control().setModel(model);
  }

  async setThoughtLevel(sessionId: string, level: string): Promise<JsonRpcResponse> {
    await this.#ready("setThoughtLevel");
    return this.#known(sessionId).control().setThoughtLevel(level);
  }

  async getModes(sessionId: string): Promise<SessionModeState | null> {
    await this.#ready("getModes");
    return this.#known(sessionId).modes;
  }

  async getConfigOptions(sessionId: string): Promise<SessionConfigOption[]> {
    await this.#ready("getConfigOptions");
    return this.#known(sessionId).configOptions;
  }

  // ------------------------------------------------------------ transcript

  async getSequencedEvents(
    sessionId: string,
    { since = -1, limit = Number.POSITIVE_INFINITY }: GetSequencedEventsOptions = {},
  ): Promise<SequencedSessionEvent[]> {
    await this.#ready("getSequencedEvents");
    return this.#events("getSequencedEvents", this.#known(sessionId), { since, limit }, (event) => ({
      sequenceNumber: event.seq,
      notification: event.notification,
    }));
  }

  async getSessionEvents(sessionId: string): Promise<PersistedSessionEvent[]> {
    await this.#ready("getSessionEvents");
    const all = { since: -1, limit: Number.POSITIVE_INFINITY };
    return this.#events("getSessionEvents", this.#known(sessionId), all, (event) => ({
      sessionId,
      seq: event.seq,
      event: event.notification,
      createdAt: event.createdAt,
    }));
  }

  async #events<Event>(
    action: string,
    session: Session,
    { since, limit }: Required<GetSequencedEventsOptions>,
    told: (event: SessionEvent) => Event,
  ): Promise<Event[]> {
    const budget = new ResultBudget(action, this.#settings.maxResultBytes, IN_PARTS);
    const events: Event[] = [];
    for await (const event of session.events(since)) {
      const entry = told(event);
      budget.add(entry);
      events.push(entry);
      if (events.length >= limit) break;
    }
    return events;
  }

  // ----------------------------------------------------------------- table

  get #surroundings(): SessionSurroundings {
    return { ...this.#settings, records: this.#records };
  }

  get #all(): Session[] {
    return [...this.#table.values(), ...this.#creating];
  }

  #known(sessionId: string): Session {
    const session = this.#table.get(sessionId);
    if (!session) throw sessionNotFound(sessionId);
    return session;
  }

  /** Opens a session where there is room for one. */
  async #within(open: () => Promise<unknown>): Promise<void> {
    const isOpen = [...this.#table.values()].filter((session) => !session.isClosed).length;
    if (isOpen + this.#opening >= MAX_SESSIONS) {
      throw limitExceeded("MAX_SESSIONS", MAX_SESSIONS, "The VM has as many open sessions as it can");
    }
    this.#opening++;
    try {
      await open();
    } finally {
      this.#opening--;
    }
  }

  async #ready(action: string): Promise<void> {
    if (!this.#settings.hasProcesses) throw noKernelSandbox(action);
    if (this.#stopped) throw vmStopped();
    this.#loading ??= this.#load();
    try {
      await this.#loading;
    } catch (error) {
      this.#loading = undefined;
      throw error;
    }
  }

  async #load(): Promise<void> {
    for (const data of await this.#records.load()) {
      this.#table.set(data.sessionId, new Session(data, this.#surroundings));
    }
  }
}
