import { CLIENT_METHODS } from "@agentclientprotocol/sdk";
import { sessionNotFound } from "../../api/errors.ts";
import type {
  JsonRpcResponse,
  PersistedSessionRecord,
  PromptResult,
  SessionConfigOption,
  SessionInfo,
  SessionModeState,
  SessionRecord,
} from "../../api/types.ts";
import { AgentKeeper } from "./agent-keeper.ts";
import { agentCrashed } from "./agent-process.ts";
import { SESSION_CWD } from "./open-agent.ts";
import { Permissions } from "./permissions.ts";
import { Prompts } from "./prompts.ts";
import type { SessionData } from "./records.ts";
import { localResponse } from "./rpc.ts";
import { asObject, SessionLog } from "./session-log.ts";
import { type NewSession, SessionState } from "./session-state.ts";
import { configOptionsOf, modesOf } from "./settings.ts";
import { SettingsControl } from "./settings-control.ts";
import type { SessionSurroundings } from "./surroundings.ts";
import { Transcript } from "./transcript.ts";
import type { SessionEvent } from "./transcript-store.ts";

/** One conversation with an agent. The agent may end and come back; the session, its id and its transcript stay. */
export class Session {
  readonly #vm: SessionSurroundings;
  readonly #state: SessionState;
  readonly #transcript: Transcript;
  readonly #log: SessionLog;
  readonly #permissions: Permissions;
  readonly #keeper: AgentKeeper;
  readonly #prompts: Prompts;
  readonly #control: SettingsControl;
  #destroyed = false;

  constructor(data: SessionData | NewSession, vm: SessionSurroundings) {
    this.#vm = vm;
    this.#state = new SessionState(data, vm.records);
    this.#transcript = this.#makeTranscript();
    this.#log = new SessionLog(this.#state, this.#transcript);
    this.#permissions = this.#makePermissions();
    this.#keeper = this.#makeKeeper();
    this.#control = new SettingsControl(this.#state, this.#log, this.#keeper);
    this.#prompts = new Prompts({
      state: this.#state,
      log: this.#log,
      keeper: this.#keeper,
      permissions: this.#permissions,
      keepAwake: (work) => vm.keepAwake(work),
      keepFiles: () => vm.keepFiles(),
    });
  }

  // ------------------------------------------------------------ what it is

  get id(): string {
    return this.#state.data.sessionId;
  }

  get isClosed(): boolean {
    return this.#state.data.closed;
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
    const { live } = this.#keeper;
    const { count } = this.#prompts;
    return {
      ...this.persistedRecord,
      status: closed ? "closed" : count > 0 ? "running" : live ? "idle" : "dormant",
      cwd: options.cwd ?? SESSION_CWD,
      permissionPolicy: options.permissionPolicy ?? "ask",
      queuedPrompts: Math.max(0, count - 1),
      pendingPermissions: this.#permissions.pending,
      lastSequenceNumber: await this.#transcript.lastSequenceNumber(),
      pid: live?.connection.process.pid ?? null,
    };
  }

  get modes(): SessionModeState | null {
    return modesOf(this.#state.data.settings);
  }

  get configOptions(): SessionConfigOption[] {
    return configOptionsOf(this.#state.data.settings);
  }

  /** Events after a number; see Transcript. */
  events(since: number): AsyncGenerator<SessionEvent> {
    return this.#transcript.after(since);
  }

  // ------------------------------------------------------------- lifecycle

  /** Starts the agent of a session that is new, closed or dormant. */
  async open(): Promise<void> {
    this.#assertExists();
    this.#keeper.forgiveCrashes();
    await this.#keeper.agent();
    this.#assertExists();
    if (this.isClosed) await this.#state.change({ closed: false });
  }

  /** Ends the agent and keeps the transcript. Idempotent. */
  async close(): Promise<void> {
    try {
      if (!this.isClosed) await this.#state.change({ closed: true });
    } finally {
      // Also where that could not be stored.
      this.#prompts.cancel(true);
      await this.#keeper.stop();
    }
    await this.#transcript.flushed();
  }

  /** Ends the agent and forgets everything. */
  async destroy(): Promise<void> {
    this.#destroyed = true;
    await this.close();
    await this.#transcript.delete();
    await this.#state.delete();
  }

  /** The VM is about to end, and the agent with it. */
  suspend(): void {
    this.#keeper.expectEnd();
    this.#permissions.cancel();
  }

  /** Resolves when nothing is left to be stored. */
  async settled(): Promise<void> {
    // Whoever changed or appended something has been told of a failure.
    await Promise.allSettled([this.#state.saved(), this.#transcript.flushed()]);
  }

  // ---------------------------------------------------------- conversation

  prompt(prompt: string): Promise<PromptResult> {
    return this.#prompts.prompt(prompt);
  }

  /** @param all also the prompts that wait */
  cancel(all: boolean): JsonRpcResponse {
    return this.#prompts.cancel(all);
  }

  respondPermission(permissionId: string, reply: string): JsonRpcResponse {
    return localResponse({ result: { outcome: this.#permissions.respond(permissionId, reply) } });
  }

  /** What sets a mode, a model or a level of thought. */
  control(): SettingsControl {
    if (this.isClosed) throw sessionNotFound(this.id, true);
    return this.#control;
  }

  // ----------------------------------------------------------------- parts

  #assertExists(): void {
    if (this.#destroyed) throw sessionNotFound(this.id);
  }

  #makeTranscript(): Transcript {
    const { id: sessionId } = this;
    return new Transcript(this.#vm.store, sessionId, {
      stored: ({ seq, notification }) =>
        this.#vm.emit("sessionEvent", { sessionId, event: notification, sequenceNumber: seq }),
      crowded: (isCrowded) => this.#keeper.live?.connection.process.hold("events", isCrowded),
      // What it says from now on would have a gap before it.
      failed: () => void this.#keeper.kill(),
    });
  }

  #makePermissions(): Permissions {
    const { sessionId, options } = this.#state.data;
    const { permissionTimeoutMs, onPermissionRequest } = this.#vm;
    return new Permissions({
      policy: options.permissionPolicy ?? "ask",
      timeoutMs: permissionTimeoutMs,
      ...(onPermissionRequest && { handle: (request) => onPermissionRequest(sessionId, request) }),
      isCancelled: () => this.#prompts.current?.isCancelled === true,
      hasListeners: () => this.#vm.hasListeners("permissionRequest"),
      ask: (request) => this.#vm.emit("permissionRequest", { sessionId, request }),
      asked: ({ permissionId, params }) => {
        this.#log.tell(CLIENT_METHODS.session_request_permission, { ...asObject(params), permissionId });
        return this.#log.flushed();
      },
      resolved: (resolution) => this.#log.tell("_agentvm/permission_resolved", resolution),
    });
  }

  #makeKeeper(): AgentKeeper {
    const { sessionId, agentType } = this.#state.data;
    return new AgentKeeper(this.#state, this.#vm, {
      notification: (message) =>
        this.#log.hear(message, {
          agentSessionId: this.#keeper.live?.agentSessionId,
          isReplaying: this.#keeper.isReplaying,
          turn: this.#prompts.current,
        }),
      requestPermission: (params) => this.#permissions.request({ ...asObject(params), sessionId }),
      ended: () => this.#permissions.cancel(),
      crashed: (end, restart) => {
        const { exitCode, signal, stderr } = end;
        const { message } = agentCrashed(agentType, end);
        this.#log.tell("_agentvm/agent_crashed", { exitCode, signal, message, restart });
        this.#vm.emit("agentCrashed", { sessionId, exitCode, signal, stderr, restart });
      },
    });
  }
}
