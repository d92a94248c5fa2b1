import { AGENT_METHODS, CLIENT_METHODS } from "@agentclientprotocol/sdk";
import { AgentVmError, limitExceeded, sessionNotFound, vmStopped } from "../../api/errors.ts";
import type { VmEventName, VmEvents } from "../../api/events.ts";
import {
  AGENT_ANSWER_TIMEOUT_MS,
  CANCEL_GRACE_MS,
  MAX_AGENT_RESTARTS,
  MAX_PROMPT_BYTES,
  MAX_QUEUED_PROMPTS,
} from "../../api/limits.ts";
import { fitsUtf8 } from "../../api/size.ts";
import type {
  Env,
  JsonRpcNotification,
  JsonRpcResponse,
  PermissionRequest,
  PersistedSessionRecord,
  PromptResult,
  SessionConfigOption,
  SessionInfo,
  SessionModeState,
  SessionRecord,
} from "../../api/types.ts";
import type { Files } from "../filesystem/files.ts";
import { Mutex } from "../mutex.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Store } from "../store.ts";
import { type AgentEnd, agentCrashed } from "./agent-process.ts";
import type { Agents } from "./agents/agents.ts";
import { answerAgent } from "./client-requests.ts";
import { type OpenAgent, openAgent, SESSION_CWD } from "./open-agent.ts";
import { Permissions } from "./permissions.ts";
import { preambleOf } from "./preamble.ts";
import type { SessionData, SessionRecords } from "./records.ts";
import { localResponse, METHOD_NOT_FOUND } from "./rpc.ts";
import {
  configOptionsOf,
  modesOf,
  optionOf,
  type Settings,
  settingsAfter,
  settingsSchema,
  withOption,
} from "./settings.ts";
import { AgentTerminals } from "./terminals.ts";
import { Transcript } from "./transcript.ts";
import { Turn } from "./turn.ts";

/** In the old form of models; the library has only what replaced it. */
const SET_MODEL_METHOD = "session/set_model";

/** What a session needs of its VM. */
export interface SessionSurroundings {
  sandbox(): Promise<Sandbox>;
  files(): Promise<Files>;
  /** Variables of every command of the VM. */
  env(): Env;
  shell: string;
  agents: Agents;
  store: Store;
  records: SessionRecords;
  permissionTimeoutMs: number;
  emit<Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void;
  keepAwake(work: Promise<unknown>): void;
  /** What the agent has done to the files is durable when this resolves. Never rejects. */
  keepFiles(): Promise<void>;
  hasListeners(name: VmEventName): boolean;
  onPermissionRequest?(
    sessionId: string,
    request: PermissionRequest,
  ): Promise<string | undefined> | string | undefined;
}

/** A running agent and what belongs to its process. */
interface LiveAgent extends OpenAgent {
  terminals: AgentTerminals;
}

/** What a session has when nothing has happened in it yet. */
export type NewSession = Pick<SessionData, "sessionId" | "agentType" | "options">;

/** One conversation with an agent. The agent may end and come back; the session, its number and its transcript stay. */
export class Session {
  readonly #vm: SessionSurroundings;
  readonly #transcript: Transcript;
  readonly #permissions: Permissions;
  readonly #prompts = new Mutex();
  /** Prompts that wait and the one that runs, in their order. */
  readonly #turns: Turn[] = [];
  /** The turn that the agent works at. */
  #current: Turn | undefined;
  /** Ends an agent that goes on with a turn that was cancelled. */
  #grace: NodeJS.Timeout | undefined;
  #data: SessionData;
  #live: LiveAgent | undefined;
  #opening: { agent: Promise<LiveAgent>; abort: AbortController } | undefined;
  /** What the agent tells is what it has told before. */
  #replaying = false;
  #crashes = 0;
  #canReopen = true;
  #saving: Promise<void> | undefined;
  #unsaved = false;
  #settingsVersion = 0;

  constructor(data: SessionData | NewSession, vm: SessionSurroundings) {
    this.#data = "settings" in data ? data : { ...NOTHING, ...data, createdAt: Date.now() };
    this.#vm = vm;
    const { sessionId, options } = this.#data;
    this.#transcript = new Transcript(vm.store, sessionId, {
      stored: ({ seq, notification }) =>
        vm.emit("sessionEvent", { sessionId, event: notification, sequenceNumber: seq }),
      crowded: (isCrowded) => {
        const process = this.#live?.connection.process;
        if (isCrowded) process?.pause();
        else process?.resume();
      },
      failed: () => void this.#live?.connection.kill(),
    });
    this.#permissions = new Permissions({
      policy: options.permissionPolicy ?? "ask",
      timeoutMs: vm.permissionTimeoutMs,
      ...(vm.onPermissionRequest && { handle: (request) => vm.onPermissionRequest?.(sessionId, request) }),
      hasListeners: () => vm.hasListeners("permissionRequest"),
      ask: (request) => vm.emit("permissionRequest", { sessionId, request }),
      asked: ({ permissionId, params }) => {
        this.#tell(CLIENT_METHODS.session_request_permission, {
          ...asObject(params),
          sessionId,
          permissionId,
        });
        return this.#transcript.flushed();
      },
      resolved: (resolution) => this.#tell("_agentvm/permission_resolved", { sessionId, ...resolution }),
    });
  }

  // ------------------------------------------------------------ what it is

  get id(): string {
    return this.#data.sessionId;
  }

  get isClosed(): boolean {
    return this.#data.closed;
  }

  get createdAt(): number {
    return this.#data.createdAt;
  }

  get record(): SessionRecord {
    const { sessionId, agentType, capabilities, agentInfo } = this.#data;
    return { sessionId, agentType, capabilities, agentInfo };
  }

  get persistedRecord(): PersistedSessionRecord {
    const { createdAt, closed } = this.#data;
    return { ...this.record, createdAt, closed };
  }

  get transcript(): Transcript {
    return this.#transcript;
  }

  async info(): Promise<SessionInfo> {
    const { options, closed } = this.#data;
    const running = this.#turns.length > 0;
    return {
      ...this.persistedRecord,
      status: closed ? "closed" : running ? "running" : this.#live ? "idle" : "dormant",
      cwd: options.cwd ?? SESSION_CWD,
      permissionPolicy: options.permissionPolicy ?? "ask",
      queuedPrompts: Math.max(0, this.#turns.length - 1),
      pendingPermissions: this.#permissions.pending,
      lastSequenceNumber: await this.#transcript.lastSequenceNumber(),
      pid: this.#live?.connection.process.pid ?? null,
    };
  }

  // ------------------------------------------------------------- lifecycle

  /** Starts the agent of a session that is new, closed or dormant. */
  async open(): Promise<SessionRecord> {
    this.#crashes = 0;
    const opened = this.#agent();
    this.#vm.keepAwake(opened);
    await opened;
    if (this.#data.closed) {
      this.#data = { ...this.#data, closed: false };
      await this.#save();
    }
    return this.record;
  }

  /** Ends the agent and keeps the transcript. Idempotent. */
  async close(): Promise<void> {
    if (!this.#data.closed) {
      this.#data = { ...this.#data, closed: true };
      await this.#save();
    }
    await this.#stopAgent();
    await this.#transcript.flushed();
  }

  /** Ends the agent and forgets everything. */
  async destroy(): Promise<void> {
    this.#data = { ...this.#data, closed: true };
    await this.#stopAgent();
    await this.#saving;
    await this.#transcript.delete();
    await this.#vm.records.delete(this.id);
  }

  /** The VM is about to end, and the agent with it. */
  suspend(): void {
    this.#opening?.abort.abort(vmStopped());
    this.#live?.connection.expectEnd();
    this.#permissions.cancel();
  }

  /** Resolves when nothing is left to be stored. */
  async settled(): Promise<void> {
    await this.#saving;
    // Whoever appended has been told of a failure.
    await this.#transcript.flushed().catch(() => undefined);
  }

  // --------------------------------------------------------------- prompts

  async prompt(prompt: string): Promise<PromptResult> {
    if (!fitsUtf8(prompt, MAX_PROMPT_BYTES)) {
      throw limitExceeded("MAX_PROMPT_BYTES", MAX_PROMPT_BYTES, "The prompt is too long");
    }
    if (this.#data.closed) throw sessionNotFound(this.id, true);
    if (this.#turns.length > MAX_QUEUED_PROMPTS) {
      throw limitExceeded("MAX_QUEUED_PROMPTS", MAX_QUEUED_PROMPTS, "Too many prompts wait in this session");
    }
    const turn = new Turn(prompt);
    this.#turns.push(turn);
    const result = this.#prompts
      .run(() => this.#take(turn))
      .finally(() => {
        turn.isOver = true;
        this.#turns.splice(this.#turns.indexOf(turn), 1);
      });
    this.#vm.keepAwake(result);
    return result;
  }

  /** @param all also the prompts that wait */
  cancel(all: boolean): JsonRpcResponse {
    const turns = all ? [...this.#turns] : this.#turns.slice(0, 1);
    const cancelled = turns.filter((turn) => this.#cancel(turn));
    return localResponse({ result: { cancelled: cancelled.length > 0 } });
  }

  respondPermission(permissionId: string, reply: string): JsonRpcResponse {
    return localResponse({ result: { outcome: this.#permissions.respond(permissionId, reply) } });
  }

  async #take(turn: Turn): Promise<PromptResult> {
    if (turn.isCancelled) return turn.cancelledResult();
    if (this.#data.closed) throw sessionNotFound(this.id, true);
    const agent = await Promise.race([this.#agent(), turn.cancelled]);
    if (agent === undefined || turn.isCancelled) return turn.cancelledResult();
    const { connection, agentSessionId } = agent;
    const blocks = [...(await this.#preface(agent)), turn.prompt].map((text) => ({ type: "text", text }));
    this.#update({ sessionUpdate: "user_message_chunk", content: { type: "text", text: turn.prompt } });
    if (!this.#data.prompted) {
      this.#data = { ...this.#data, prompted: true };
      await this.#save();
    }
    if (turn.isCancelled) return turn.cancelledResult();
    this.#current = turn;
    try {
      const response = await connection.request(
        AGENT_METHODS.session_prompt,
        { sessionId: agentSessionId, prompt: blocks },
        () => {
          turn.isOver = true;
        },
      );
      this.#crashes = 0;
      agent.isFresh = false;
      await this.#transcript.flushed();
      return turn.result(response);
    } catch (error) {
      await this.#transcript.flushed();
      if (turn.isCancelled) return turn.cancelledResult();
      throw connection.isStopping ? vmStopped() : error;
    } finally {
      this.#current = undefined;
      clearTimeout(this.#grace);
      await this.#vm.keepFiles();
    }
  }

  /** What the agent has to be told before a prompt. */
  async #preface(agent: LiveAgent): Promise<string[]> {
    const { prompted } = this.#data;
    const isDue = agent.isFresh || !prompted;
    const preamble = agent.isFresh && prompted ? await preambleOf(this.#transcript.after()) : undefined;
    return [isDue ? agent.instructions : undefined, preamble].filter((text) => text !== undefined);
  }

  #cancel(turn: Turn): boolean {
    if (!turn.cancel()) return false;
    if (turn === this.#current && this.#live) {
      const { connection, agentSessionId } = this.#live;
      connection.notify(AGENT_METHODS.session_cancel, { sessionId: agentSessionId });
      this.#grace = setTimeout(() => void connection.kill(), CANCEL_GRACE_MS);
    }
    this.#permissions.cancel();
    return true;
  }

  // -------------------------------------------------------------- settings

  get modes(): SessionModeState | null {
    return modesOf(this.#data.settings);
  }

  get configOptions(): SessionConfigOption[] {
    return configOptionsOf(this.#data.settings);
  }

  async setMode(modeId: string): Promise<JsonRpcResponse> {
    const agent = await this.#openAgent();
    if (!this.#data.settings.modes && optionOf(this.#data.settings, "mode")) {
      return this.#setOption(agent, "mode", modeId);
    }
    const params = { sessionId: agent.agentSessionId, modeId };
    return this.#set(agent, AGENT_METHODS.session_set_mode, params, () =>
      this.#update({ sessionUpdate: "current_mode_update", currentModeId: modeId }),
    );
  }

  async setModel(model: string): Promise<JsonRpcResponse> {
    const agent = await this.#openAgent();
    const { settings } = this.#data;
    if (optionOf(settings, "model")) return this.#setOption(agent, "model", model);
    const { models } = settings;
    if (!models) return missing(SET_MODEL_METHOD);
    const params = { sessionId: agent.agentSessionId, modelId: model };
    return this.#set(agent, SET_MODEL_METHOD, params, () => {
      this.#settle({ ...settings, models: { ...models, currentModelId: model } });
      this.#update({ sessionUpdate: "current_model_update", currentModelId: model });
    });
  }

  async setThoughtLevel(level: string): Promise<JsonRpcResponse> {
    const agent = await this.#openAgent();
    if (optionOf(this.#data.settings, "thought_level")) return this.#setOption(agent, "thought_level", level);
    return missing(AGENT_METHODS.session_set_config_option);
  }

  #setOption(agent: LiveAgent, category: string, value: string): Promise<JsonRpcResponse> {
    const option = optionOf(this.#data.settings, category);
    const typed =
      typeof option?.currentValue === "boolean" ? { type: "boolean", value: value === "true" } : { value };
    const params = { sessionId: agent.agentSessionId, configId: option?.id, ...typed };
    return this.#set(agent, AGENT_METHODS.session_set_config_option, params, (result) => {
      const told = settingsSchema.safeParse(result).data?.configOptions;
      const settings = told
        ? { ...this.#data.settings, configOptions: told }
        : withOption(this.#data.settings, category, value);
      this.#update({ sessionUpdate: "config_option_update", configOptions: settings.configOptions });
    });
  }

  /** @param announce tells of the change, where the agent has not before it answered. */
  async #set(
    agent: LiveAgent,
    method: string,
    params: unknown,
    announce: (result: unknown) => void,
  ): Promise<JsonRpcResponse> {
    const version = this.#settingsVersion;
    const response = await agent.connection.requestWithin(
      AGENT_ANSWER_TIMEOUT_MS,
      method,
      params,
      ({ result, error }) => {
        if (!error && this.#settingsVersion === version) announce(result);
      },
    );
    await this.#transcript.flushed();
    await this.#saving;
    return response;
  }

  // ----------------------------------------------------------------- agent

  #openAgent(): Promise<LiveAgent> {
    if (this.#data.closed) throw sessionNotFound(this.id, true);
    const agent = this.#agent();
    this.#vm.keepAwake(agent);
    return agent;
  }

  /** The running agent, started where there is none. */
  #agent(): Promise<LiveAgent> {
    if (this.#live) return Promise.resolve(this.#live);
    if (this.#opening) return this.#opening.agent;
    const abort = new AbortController();
    const agent = this.#start(abort.signal).finally(() => {
      this.#opening = undefined;
    });
    this.#opening = { agent, abort };
    // Whoever asked may have gone on: a cancelled prompt.
    agent.catch(() => undefined);
    return agent;
  }

  async #start(signal: AbortSignal): Promise<LiveAgent> {
    const { agentType, options, agentSessionId } = this.#data;
    if (this.#crashes > MAX_AGENT_RESTARTS) {
      throw new AgentVmError(
        "agent_crashed",
        `Agent ${agentType} has ended ${this.#crashes} times in a row`,
        {
          hint: "resumeSession() starts it once more.",
        },
      );
    }
    const [sandbox, files] = await Promise.all([this.#vm.sandbox(), this.#vm.files()]);
    const { env, shell, agents } = this.#vm;
    const base = env();
    const terminals = new AgentTerminals(sandbox, {
      env: base,
      cwd: options.cwd ?? SESSION_CWD,
      shell,
    });
    const opened = await openAgent(
      {
        agentType,
        options,
        agentSessionId: this.#canReopen && agentSessionId !== "" ? agentSessionId : undefined,
        handlers: {
          notification: (message) => this.#onNotification(message),
          request: (method, params) =>
            answerAgent(
              { files, terminals, requestPermission: (request) => this.#permissions.request(request) },
              method,
              params,
            ),
          // A banner or a debugging print; it is no part of the conversation.
          stray: () => undefined,
        },
        replaying: (isReplaying) => {
          this.#replaying = isReplaying;
        },
        signal,
      },
      { sandbox, files, agents, env: base },
    ).catch((error: unknown) => this.#failed(error, terminals));
    const live: LiveAgent = { ...opened, terminals };
    this.#live = live;
    void opened.connection.process.ended.then((end) => this.#ended(live, end));
    await this.#opened(live);
    return live;
  }

  /** An agent that cannot open the session it had gets a new one the next time. */
  async #failed(error: unknown, terminals: AgentTerminals): Promise<never> {
    await terminals.close();
    if (error instanceof AgentVmError && error.code === "agent_failed") this.#canReopen = false;
    throw error;
  }

  async #opened({ connection, agentSessionId, settings }: LiveAgent): Promise<void> {
    this.#canReopen = true;
    const { agentCapabilities, agentInfo } = connection.traits;
    this.#data = {
      ...this.#data,
      agentSessionId,
      capabilities: { ...agentCapabilities },
      agentInfo: agentInfo ? { ...agentInfo } : null,
      settings: { ...this.#data.settings, ...told(settings) },
    };
    await this.#save();
  }

  async #stopAgent(): Promise<void> {
    this.cancel(true);
    this.#opening?.abort.abort(sessionNotFound(this.id, true));
    await this.#opening?.agent.catch(() => undefined);
    const live = this.#live;
    if (!live) return;
    const { connection, agentSessionId } = live;
    const canClose = connection.traits.agentCapabilities?.sessionCapabilities?.close;
    await connection.stop(
      canClose ? { method: AGENT_METHODS.session_close, params: { sessionId: agentSessionId } } : undefined,
    );
    await live.terminals.close();
  }

  #ended(live: LiveAgent, end: AgentEnd): void {
    if (this.#live === live) this.#live = undefined;
    this.#permissions.cancel();
    void live.terminals.close();
    if (live.connection.isStopping) return;
    this.#crashes++;
    const { exitCode, signal, stderr } = end;
    const restart = this.#crashes <= MAX_AGENT_RESTARTS;
    const { message } = agentCrashed(this.#data.agentType, end);
    this.#tell("_agentvm/agent_crashed", { sessionId: this.id, exitCode, signal, message, restart });
    this.#vm.emit("agentCrashed", { sessionId: this.id, exitCode, signal, stderr, restart });
  }

  // ---------------------------------------------------------------- events

  #onNotification(message: JsonRpcNotification): void {
    const params = asObject(message.params);
    const known = this.#live?.agentSessionId;
    // Before it has answered session/new, an agent can only speak of this session.
    const isOurs = known === undefined || params.sessionId === known;
    if (message.method === CLIENT_METHODS.session_update && isOurs) {
      const { update } = params;
      const settings = settingsAfter(this.#data.settings, update);
      if (settings) this.#settle(settings);
      if (!this.#replaying) this.#current?.say(saidBy(update));
    }
    if (this.#replaying) return;
    const event =
      isOurs && "sessionId" in params ? { ...message, params: { ...params, sessionId: this.id } } : message;
    this.#transcript.append(event);
  }

  /** An update of ours, as if the agent had sent it. */
  #update(update: { sessionUpdate: string; [field: string]: unknown }): void {
    const settings = settingsAfter(this.#data.settings, update);
    if (settings) this.#settle(settings);
    this.#tell(CLIENT_METHODS.session_update, { sessionId: this.id, update });
  }

  #tell(method: string, params: object): void {
    this.#transcript.append({ jsonrpc: "2.0", method, params });
  }

  #settle(settings: Settings): void {
    this.#settingsVersion++;
    this.#data = { ...this.#data, settings };
    // The settings are told anew by an agent that comes back: losing them is no harm.
    this.#save().catch(() => undefined);
  }

  /** Resolves when the session is stored as it is now. What changes while it is being stored goes together. */
  #save(): Promise<void> {
    this.#unsaved = true;
    this.#saving ??= this.#saveAll().finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  async #saveAll(): Promise<void> {
    // What is set before the session has been opened is stored with it.
    while (this.#unsaved) {
      this.#unsaved = false;
      if (this.#data.agentSessionId !== "") await this.#vm.records.save(this.#data);
    }
  }
}

/** Of a session that has not been opened. */
const NOTHING = {
  closed: false,
  capabilities: {},
  agentInfo: null,
  agentSessionId: "",
  prompted: false,
  settings: {},
} satisfies Partial<SessionData>;

/** Without what the agent did not tell: it keeps what it had. */
function told(settings: Settings): Settings {
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== null && value !== undefined),
  );
}

/** Text of an agent_message_chunk; nothing for other updates. */
function saidBy(update: unknown): string {
  const { sessionUpdate, content } = asObject(update);
  const { type, text } = asObject(content);
  return sessionUpdate === "agent_message_chunk" && type === "text" && typeof text === "string" ? text : "";
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function missing(method: string): JsonRpcResponse {
  return localResponse({
    error: { code: METHOD_NOT_FOUND, message: `Method not found: ${method}`, data: { method } },
  });
}
