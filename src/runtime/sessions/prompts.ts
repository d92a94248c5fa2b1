import { AGENT_METHODS } from "@agentclientprotocol/sdk";
import { limitExceeded, sessionNotFound, vmStopped } from "../../api/errors.ts";
import { CANCEL_GRACE_MS, MAX_PROMPT_BYTES, MAX_QUEUED_PROMPTS } from "../../api/limits.ts";
import { fitsUtf8 } from "../../api/size.ts";
import type { JsonRpcResponse, PromptResult } from "../../api/types.ts";
import { Mutex } from "../mutex.ts";
import type { AgentKeeper, LiveAgent } from "./agent-keeper.ts";
import type { Permissions } from "./permissions.ts";
import { preambleOf } from "./preamble.ts";
import { localResponse } from "./rpc.ts";
import type { SessionLog } from "./session-log.ts";
import type { SessionState } from "./session-state.ts";
import { Turn } from "./turn.ts";

export interface PromptsSettings {
  state: SessionState;
  log: SessionLog;
  keeper: AgentKeeper;
  permissions: Permissions;
  /** See SessionSurroundings. */
  keepAwake(work: Promise<unknown>): void;
  keepFiles(): Promise<void>;
}

/** The prompts of one session. They wait for each other: agents disagree about two at once. */
export class Prompts {
  readonly #settings: PromptsSettings;
  readonly #mutex = new Mutex();
  /** Those that wait and the one that runs, in their order. */
  readonly #turns: Turn[] = [];
  #current: Turn | undefined;
  /** Ends an agent that goes on with a turn that was cancelled. */
  #grace: NodeJS.Timeout | undefined;

  constructor(settings: PromptsSettings) {
    this.#settings = settings;
  }

  /** How many wait or run. */
  get count(): number {
    return this.#turns.length;
  }

  /** The turn that the agent works at. */
  get current(): Turn | undefined {
    return this.#current;
  }

  async prompt(prompt: string): Promise<PromptResult> {
    const { data } = this.#settings.state;
    if (!fitsUtf8(prompt, MAX_PROMPT_BYTES)) {
      throw limitExceeded("MAX_PROMPT_BYTES", MAX_PROMPT_BYTES, "The prompt is too long");
    }
    if (data.closed) throw sessionNotFound(data.sessionId, true);
    if (this.#turns.length > MAX_QUEUED_PROMPTS) {
      throw limitExceeded("MAX_QUEUED_PROMPTS", MAX_QUEUED_PROMPTS, "Too many prompts wait in this session");
    }
    const turn = new Turn(prompt);
    this.#turns.push(turn);
    const result = this.#mutex
      .run(() => this.#take(turn))
      .finally(() => {
        turn.isOver = true;
        this.#turns.splice(this.#turns.indexOf(turn), 1);
      });
    this.#settings.keepAwake(result);
    return result;
  }

  /** @param all also the prompts that wait */
  cancel(all: boolean): JsonRpcResponse {
    const turns = all ? [...this.#turns] : this.#turns.slice(0, 1);
    const cancelled = turns.filter((turn) => this.#cancel(turn));
    return localResponse({ result: { cancelled: cancelled.length > 0 } });
  }

  #cancel(turn: Turn): boolean {
    if (!turn.cancel()) return false;
    const { live } = this.#settings.keeper;
    if (turn === this.#current && live) {
      const { connection, agentSessionId } = live;
      connection.notify(AGENT_METHODS.session_cancel, { sessionId: agentSessionId });
      this.#grace = setTimeout(() => void connection.kill(), CANCEL_GRACE_MS);
      this.#settings.permissions.cancel();
    }
    return true;
  }

  async #take(turn: Turn): Promise<PromptResult> {
    const { state, keeper, keepFiles } = this.#settings;
    if (turn.isCancelled) return turn.cancelledResult();
    if (state.data.closed) throw sessionNotFound(state.data.sessionId, true);
    const agent = await Promise.race([keeper.agent(), turn.cancelled]);
    if (agent === undefined) return turn.cancelledResult();
    const preface = await this.#preface(agent);
    if (!state.data.prompted) await state.change({ prompted: true });
    if (turn.isCancelled) return turn.cancelledResult();
    try {
      return await this.#send(agent, turn, preface);
    } finally {
      this.#current = undefined;
      clearTimeout(this.#grace);
      await keepFiles();
    }
  }

  async #send(agent: LiveAgent, turn: Turn, preface: readonly string[]): Promise<PromptResult> {
    const { log, keeper } = this.#settings;
    const { connection, agentSessionId } = agent;
    const prompt = [...preface, turn.prompt].map((text) => ({ type: "text", text }));
    this.#current = turn;
    log.update({ sessionUpdate: "user_message_chunk", content: { type: "text", text: turn.prompt } });
    try {
      const response = await connection.request(
        AGENT_METHODS.session_prompt,
        { sessionId: agentSessionId, prompt },
        () => {
          turn.isOver = true;
        },
      );
      keeper.forgiveCrashes();
      agent.isFresh = false;
      await log.flushed();
      return turn.result(response);
    } catch (error) {
      await log.flushed();
      if (turn.isCancelled) return turn.cancelledResult();
      throw connection.isStopping ? vmStopped() : error;
    }
  }

  /** What the agent has to be told before a prompt. */
  async #preface(agent: LiveAgent): Promise<string[]> {
    const { prompted } = this.#settings.state.data;
    const isDue = agent.isFresh || !prompted;
    const preamble = agent.isFresh && prompted ? await preambleOf(this.#settings.log.after()) : undefined;
    return [isDue ? agent.instructions : undefined, preamble].filter((text) => text !== undefined);
  }
}
