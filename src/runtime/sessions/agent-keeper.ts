import { AGENT_METHODS } from "@agentclientprotocol/sdk";
import { AgentVmError, sessionNotFound, vmStopped } from "../../api/errors.ts";
import { MAX_AGENT_RESTARTS } from "../../api/limits.ts";
import type { JsonRpcNotification } from "../../api/types.ts";
import { Mutex } from "../mutex.ts";
import type { AgentEnd } from "./agent-process.ts";
import { answerAgent } from "./client-requests.ts";
import { type OpenAgent, openAgent, SESSION_CWD } from "./open-agent.ts";
import type { SessionState } from "./session-state.ts";
import type { Settings } from "./settings.ts";
import type { SessionSurroundings } from "./surroundings.ts";
import { AgentTerminals } from "./terminals.ts";

/** A running agent and what belongs to its process. */
export interface LiveAgent extends OpenAgent {
  terminals: AgentTerminals;
}

export interface AgentHooks {
  notification(message: JsonRpcNotification): void;
  requestPermission(params: unknown): Promise<unknown>;
  /** It has ended, asked to or not. */
  ended(): void;
  /** It has ended without having been asked to. */
  crashed(end: AgentEnd, restart: boolean): void;
}

/** The agent of one session: started when it is needed, counted when it crashes, ended with all that it has started. */
export class AgentKeeper {
  readonly #state: SessionState;
  readonly #vm: SessionSurroundings;
  readonly #hooks: AgentHooks;
  #live: LiveAgent | undefined;
  #opening: { agent: Promise<LiveAgent>; abort: AbortController } | undefined;
  #replaying = false;
  /** In a row. */
  #crashes = 0;
  #canReopen = true;

  constructor(state: SessionState, vm: SessionSurroundings, hooks: AgentHooks) {
    this.#state = state;
    this.#vm = vm;
    this.#hooks = hooks;
  }

  /** The agent that runs, with its session open. */
  get live(): LiveAgent | undefined {
    return this.#live;
  }

  /** What the agent tells is what it has told before. */
  get isReplaying(): boolean {
    return this.#replaying;
  }

  /** The agent has proven that it works, or somebody wants to try again. */
  forgiveCrashes(): void {
    this.#crashes = 0;
  }

  /**
   * The running agent, started where there is none.
   *
   * @throws AgentVmError `session_not_found` for a closed session; `agent_failed`; `agent_crashed` where it has too often
   */
  agent(): Promise<LiveAgent> {
    const agent = this.#live ? Promise.resolve(this.#live) : (this.#opening?.agent ?? this.#open());
    this.#vm.keepAwake(agent);
    return agent;
  }

  /** Ends the agent, politely at first. */
  async stop(): Promise<void> {
    this.#opening?.abort.abort(sessionNotFound(this.#state.data.sessionId, true));
    await this.#opening?.agent.catch(() => undefined);
    if (!this.#live) return;
    const { connection, agentSessionId, terminals } = this.#live;
    const canClose = connection.traits.agentCapabilities?.sessionCapabilities?.close;
    await connection.stop(
      canClose ? { method: AGENT_METHODS.session_close, params: { sessionId: agentSessionId } } : undefined,
    );
    await terminals.close();
  }

  async kill(): Promise<void> {
    await this.#live?.connection.kill();
  }

  /** The VM is about to end, and the agent with it: that is no crash. */
  expectEnd(): void {
    this.#opening?.abort.abort(vmStopped());
    this.#live?.connection.expectEnd();
  }

  #open(): Promise<LiveAgent> {
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
    const { agentType, options, agentSessionId } = this.#state.data;
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
    const { shell, agents } = this.#vm;
    const env = this.#vm.env();
    const terminals = new AgentTerminals(sandbox, { env, cwd: options.cwd ?? SESSION_CWD, shell });
    const client = {
      files,
      terminals,
      answering: new Mutex(),
      requestPermission: (params: unknown) => this.#hooks.requestPermission(params),
    };
    try {
      const opened = await openAgent(
        {
          agentType,
          options,
          agentSessionId: this.#canReopen && agentSessionId !== "" ? agentSessionId : undefined,
          handlers: {
            notification: (message) => this.#hooks.notification(message),
            request: (method, params) => answerAgent(client, method, params),
            // A banner or a print for debugging; it is no part of the conversation.
            stray: () => undefined,
          },
          replaying: (isReplaying) => {
            this.#replaying = isReplaying;
          },
          signal,
        },
        { sandbox, files, agents, env },
      );
      return await this.#opened({ ...opened, terminals });
    } catch (error) {
      await terminals.close();
      // Ended on purpose: whatever the start has failed with comes of that.
      signal.throwIfAborted();
      // One that cannot open the session it had gets a new one the next time.
      if (error instanceof AgentVmError && error.code === "agent_failed") this.#canReopen = false;
      throw error;
    }
  }

  async #opened(live: LiveAgent): Promise<LiveAgent> {
    const { connection, agentSessionId, settings } = live;
    const { agentCapabilities, agentInfo } = connection.traits;
    this.#live = live;
    this.#canReopen = true;
    this.#vm.touchFiles();
    void connection.process.ended.then((end) => this.#ended(live, end));
    await this.#state.change({
      agentSessionId,
      capabilities: { ...agentCapabilities },
      agentInfo: agentInfo ? { ...agentInfo } : null,
      settings: { ...this.#state.data.settings, ...told(settings) },
    });
    return live;
  }

  #ended(live: LiveAgent, end: AgentEnd): void {
    if (this.#live === live) this.#live = undefined;
    void live.terminals.close();
    this.#hooks.ended();
    if (live.connection.isStopping) return;
    this.#crashes++;
    this.#hooks.crashed(end, this.#crashes <= MAX_AGENT_RESTARTS);
  }
}

/** Without what the agent did not tell: it keeps what it had. */
function told(settings: Settings): Settings {
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== null && value !== undefined),
  );
}
