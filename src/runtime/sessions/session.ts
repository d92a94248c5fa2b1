import { sessionClosed, sessionNotFound } from "../../api/errors.ts";
import type {
  JsonRpcResponse,
  PersistedSessionRecord,
  SessionConfigOption,
  SessionInfo,
  SessionModeState,
  SessionRecord,
} from "../../api/methods/session-types.ts";
import { AgentKeeper } from "./agent-link/agent-keeper.ts";
import { SESSION_CWD } from "./agent-link/open-agent.ts";
import { localResponse } from "./agent-link/rpc.ts";
import type { SessionDeps } from "./deps.ts";
import { Permissions } from "./permissions.ts";
import { Prompts } from "./prompts.ts";
import { SettingsControl } from "./settings-control.ts";
import type { StoredSession } from "./transcript/records.ts";
import { SessionLog } from "./transcript/session-log.ts";
import { type NewSession, SessionState } from "./transcript/session-state.ts";
import { configOptionsOf, modesOf } from "./transcript/settings.ts";
import { Transcript } from "./transcript/transcript.ts";
import type { TranscriptEvent } from "./transcript/transcript-store.ts";

/** One conversation with an agent. The session, its id and its transcript outlive the agent's process. */
export class Session {
  readonly #state: SessionState;
  readonly #transcript: Transcript;
  readonly #permissions: Permissions;
  readonly #keeper: AgentKeeper;
  readonly prompts: Prompts;
  readonly #control: SettingsControl;
  #destroyed = false;
  /** Calls of `open` that run. */
  #opening = 0;

  constructor(session: StoredSession | NewSession, vm: SessionDeps) {
    const state = new SessionState(session, vm.records);
    const { sessionId } = state.data;
    const transcript = new Transcript(vm.store, sessionId, vm.memory, ({ seq, notification }) => {
      vm.emit("sessionEvent", { sessionId, event: notification, sequenceNumber: seq });
      vm.filesMayHaveChanged();
    });
    const log = new SessionLog(state, transcript);
    const permissions = new Permissions({ state, log, vm });
    const keeper = new AgentKeeper({ state, log, transcript, permissions, vm });
    this.#state = state;
    this.#transcript = transcript;
    this.#permissions = permissions;
    this.#keeper = keeper;
    this.#control = new SettingsControl(state, log, keeper);
    this.prompts = new Prompts({ state, log, keeper, permissions, vm });
  }

  get id(): string {
    return this.#state.data.sessionId;
  }

  get isClosed(): boolean {
    return this.#state.data.closed;
  }

  /** Time at which the session was closed. */
  get closedAt(): number {
    const { closedAt, createdAt } = this.#state.data;
    return closedAt ?? createdAt;
  }

  get record(): SessionRecord {
    const { sessionId, agentType, capabilities, agentInfo } = this.#state.data;
    return { sessionId, agentType, capabilities, agentInfo };
  }

  get persistedRecord(): PersistedSessionRecord {
    const { createdAt, closed } = this.#state.data;
    return { ...this.record, createdAt, closed };
  }

  async info(): Promise<SessionInfo> {
    const { options, closed } = this.#state.data;
    const { capabilities, agentInfo } = await this.#state.whole();
    const { live } = this.#keeper;
    const { count } = this.prompts;
    return {
      ...this.persistedRecord,
      capabilities,
      agentInfo,
      status: closed ? "closed" : count > 0 ? "running" : live ? "idle" : "dormant",
      cwd: options.cwd ?? SESSION_CWD,
      permissionPolicy: options.permissionPolicy ?? "ask",
      queuedPrompts: Math.max(0, count - 1),
      pendingPermissions: this.#permissions.pending,
      lastSequenceNumber: await this.#transcript.lastSequenceNumber(),
      pid: live?.connection.process.pid ?? null,
    };
  }

  async modes(): Promise<SessionModeState | null> {
    return modesOf((await this.#state.whole()).settings);
  }

  async configOptions(): Promise<SessionConfigOption[]> {
    return configOptionsOf((await this.#state.whole()).settings);
  }

  /** Stored events whose sequence number is above `since`, oldest first. */
  events(since: number): AsyncGenerator<TranscriptEvent> {
    return this.#transcript.after(since);
  }

  /** Starts the agent of a new, closed or dormant session, and resets its count of crashes. */
  async open(): Promise<void> {
    this.#assertExists();
    this.#opening++;
    try {
      await this.#state.load();
      this.#assertExists();
      this.#keeper.resetCrashes();
      await this.#keeper.agent();
      this.#assertExists();
      if (this.isClosed) await this.#state.change({ closed: false });
    } finally {
      this.#opening--;
      if (this.isClosed) await this.#rest();
    }
  }

  /** Ends the agent and keeps the transcript. Idempotent. */
  async close(): Promise<void> {
    try {
      if (!this.isClosed) await this.#state.change({ closed: true, closedAt: Date.now() });
    } finally {
      // The agent ends even if the change could not be stored.
      this.prompts.cancelAll();
      await this.#keeper.stop();
    }
    await this.#rest();
    await this.#transcript.flushed();
  }

  /** Ends the agent and deletes the session's record and transcript. */
  async destroy(): Promise<void> {
    this.#destroyed = true;
    await this.close();
    await this.#transcript.delete();
    await this.#state.delete();
  }

  /** Prepares for the end of the VM, which ends the agent too. */
  suspend(): void {
    this.#keeper.expectEnd();
    this.#permissions.cancel();
  }

  /** Resolves when the record and all events are stored, or could not be. */
  async settled(): Promise<void> {
    // The calls that made the changes have already reported a failure.
    await Promise.allSettled([this.#state.saved(), this.#transcript.flushed()]);
  }

  respondPermission(permissionId: string, reply: string): JsonRpcResponse {
    return localResponse({ result: { outcome: this.#permissions.respond(permissionId, reply) } });
  }

  /** Setters for mode, model and thought level. @throws AgentVmError `session_not_found` if the session is closed */
  control(): SettingsControl {
    if (this.isClosed) throw sessionClosed(this.id);
    return this.#control;
  }

  async #rest(): Promise<void> {
    await this.#state.rest(() => this.isClosed && this.#opening === 0 && this.#keeper.live === undefined);
  }

  #assertExists(): void {
    if (this.#destroyed) throw sessionNotFound(this.id);
  }
}
