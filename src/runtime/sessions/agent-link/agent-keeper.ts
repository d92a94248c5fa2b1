import { AGENT_METHODS } from "@agentclientprotocol/sdk";
import { AgentVmError, sessionClosed, vmStopped } from "../../../api/errors.ts";
import { Mutex } from "../../../base/mutex.ts";
import { commandEnv } from "../../processes/command.ts";
import { HOST_CALL_SESSION } from "../../sandbox/host-call.ts";
import type { SessionDeps } from "../deps.ts";
import { MAX_AGENT_RESTARTS } from "../limits.ts";
import type { Permissions } from "../permissions.ts";
import type { SessionLog } from "../transcript/session-log.ts";
import type { SessionState } from "../transcript/session-state.ts";
import type { Settings } from "../transcript/settings.ts";
import type { Transcript } from "../transcript/transcript.ts";
import { type AgentEnd, agentCrashed } from "./agent-process.ts";
import { answerAgent } from "./client-requests.ts";
import { type OpenAgent, openAgent, SESSION_CWD } from "./open-agent.ts";
import { AgentTerminals } from "./terminals.ts";

/** A running agent and the terminals that it has opened. */
export interface LiveAgent extends OpenAgent {
  terminals: AgentTerminals;
}

interface AgentKeeperDeps {
  state: SessionState;
  log: SessionLog;
  transcript: Transcript;
  permissions: Permissions;
  vm: SessionDeps;
}

/** Starts the agent of one session on demand, counts its crashes, and ends it with all its terminals. */
export class AgentKeeper {
  readonly #deps: AgentKeeperDeps;
  #live: LiveAgent | undefined;
  #opening: { agent: Promise<LiveAgent>; abort: AbortController } | undefined;
  /** `true` while the agent replays the conversation after session/load; its updates are not recorded twice. */
  #replaying = false;
  /** Crashes in a row. */
  #crashes = 0;
  /** `false` after the agent failed to start with its stored session; the next start opens a new one. */
  #canReopen = true;

  constructor(deps: AgentKeeperDeps) {
    this.#deps = deps;
  }

  /** The running agent, with its session open. */
  get live(): LiveAgent | undefined {
    return this.#live;
  }

  /** Sets the count of crashes to 0. Called when a prompt succeeds and when a client resumes the session. */
  resetCrashes(): void {
    this.#crashes = 0;
  }

  /**
   * Returns the running agent, and starts it if it does not run. An agent that ends is waited for first.
   *
   * @throws AgentVmError `session_not_found` if the session is closed meanwhile; `agent_failed`; `agent_crashed` after
   * more than MAX_AGENT_RESTARTS crashes in a row
   */
  agent(): Promise<LiveAgent> {
    const live = this.#live?.connection.isStopping ? undefined : this.#live;
    const agent = live ? Promise.resolve(live) : (this.#opening?.agent ?? this.#open());
    this.#deps.vm.whileRunning(agent);
    return agent;
  }

  /** Asks the agent to end, and kills it if it does not. */
  async stop(): Promise<void> {
    const reason = sessionClosed(this.#deps.state.data.sessionId);
    this.#opening?.abort.abort(reason);
    await this.#opening?.agent.catch(() => undefined);
    if (!this.#live) return;
    const { connection, agentSessionId, terminals } = this.#live;
    const canClose = connection.traits.agentCapabilities?.sessionCapabilities?.close;
    await connection.stop(
      reason,
      canClose ? { method: AGENT_METHODS.session_close, params: { sessionId: agentSessionId } } : undefined,
    );
    await terminals.close();
  }

  /** Marks the coming end of the agent as expected, because the VM stops. */
  expectEnd(): void {
    const reason = vmStopped();
    this.#opening?.abort.abort(reason);
    this.#live?.connection.expectEnd(reason);
  }

  #open(): Promise<LiveAgent> {
    const abort = new AbortController();
    const agent = this.#start(abort.signal).finally(() => {
      this.#opening = undefined;
    });
    this.#opening = { agent, abort };
    // A cancelled prompt no longer waits for the agent.
    agent.catch(() => undefined);
    return agent;
  }

  async #start(signal: AbortSignal): Promise<LiveAgent> {
    await this.#live?.connection.process.ended;
    signal.throwIfAborted();
    const { agentType, options, agentSessionId } = this.#deps.state.data;
    if (this.#crashes > MAX_AGENT_RESTARTS) {
      throw new AgentVmError(
        "agent_crashed",
        `Agent ${agentType} has ended ${this.#crashes} times in a row`,
        { hint: "resumeSession() starts the agent again." },
      );
    }
    const [sandbox, files] = await Promise.all([this.#deps.vm.sandbox(), this.#deps.vm.files()]);
    const { agents, hostInstructions, kept, memory } = this.#deps.vm;
    const env = { ...(await this.#deps.vm.env()), [HOST_CALL_SESSION]: this.#deps.state.data.sessionId };
    const terminals = new AgentTerminals(sandbox, {
      env: commandEnv(env),
      cwd: options.cwd ?? SESSION_CWD,
      kept,
    });
    const client = {
      files,
      terminals,
      answering: new Mutex(),
      permissions: this.#deps.permissions,
    };
    try {
      const opened = await openAgent(
        {
          agentType,
          options,
          agentSessionId: this.#canReopen && agentSessionId !== "" ? agentSessionId : undefined,
          handlers: {
            notification: (message, values) =>
              this.#deps.log.onNotification(message, {
                values,
                agentSessionId: this.#live?.agentSessionId,
                isReplaying: this.#replaying,
              }),
            request: (method, params) => answerAgent(client, method, params),
            // Agents print banners and debug output, which are not part of the conversation.
            stray: () => undefined,
          },
          started: (connection) =>
            this.#deps.transcript.setSource({
              pause: (isPaused) => connection.process.setPaused("events", isPaused),
              kill: () => void connection.kill(),
              killFor: (fault) => connection.process.killFor(fault),
            }),
          replaying: (isReplaying) => {
            this.#replaying = isReplaying;
          },
          settings: (settings) => {
            const known = reported(settings);
            if (Object.keys(known).length === 0) return;
            this.#deps.state.setSettings({ ...this.#deps.state.data.settings, ...known });
          },
          signal,
        },
        { sandbox, files, memory, agents, env, hostInstructions },
      );
      return await this.#opened({ ...opened, terminals });
    } catch (error) {
      this.#deps.transcript.setSource(undefined);
      // Nobody waits for the answers any more, and the next agent needs the places.
      this.#deps.permissions.cancel();
      await terminals.close();
      // The server aborted the start: report that reason and not the error that followed from it.
      signal.throwIfAborted();
      // The stored session may be the reason: the next start opens a new one.
      if (error instanceof AgentVmError && error.code === "agent_failed") this.#canReopen = false;
      throw error;
    }
  }

  async #opened(live: LiveAgent): Promise<LiveAgent> {
    const { connection, agentSessionId } = live;
    const { agentCapabilities, agentInfo } = connection.traits;
    this.#live = live;
    this.#canReopen = true;
    this.#deps.vm.filesMayHaveChanged();
    void connection.process.ended.then((end) => this.#ended(live, end));
    try {
      await this.#deps.state.change({
        agentSessionId,
        capabilities: { ...agentCapabilities },
        agentInfo: agentInfo ? { ...agentInfo } : null,
      });
    } catch (error) {
      await connection.kill();
      throw error;
    }
    return live;
  }

  #ended(live: LiveAgent, end: AgentEnd): void {
    if (this.#live === live) {
      this.#live = undefined;
      this.#deps.transcript.setSource(undefined);
    }
    void live.terminals.close();
    this.#deps.permissions.cancel();
    if (live.connection.isStopping) return;
    this.#crashes++;
    const { sessionId, agentType } = this.#deps.state.data;
    const { exitCode, signal, stderr } = end;
    const { message } = agentCrashed(agentType, end);
    // The next prompt starts the agent again.
    const restart = this.#crashes <= MAX_AGENT_RESTARTS;
    this.#deps.log.append("_agentvm/agent_crashed", { exitCode, signal, message, restart });
    this.#deps.vm.emit("agentCrashed", { sessionId, exitCode, signal, stderr, restart });
    this.#deps.vm.filesMayHaveChanged();
  }
}

/** Only the settings that the agent reported; the session keeps its former value of the others. */
function reported(settings: Settings): Settings {
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== null && value !== undefined),
  );
}
