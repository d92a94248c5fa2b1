import { AGENT_METHODS } from "@agentclientprotocol/sdk";
import { limitExceeded, sessionClosed } from "../../api/errors.ts";
import type { JsonRpcResponse, PromptResult } from "../../api/methods/session-types.ts";
import { fitsUtf8 } from "../../api/size.ts";
import { currentCaller } from "../../base/caller.ts";
import { Mutex } from "../../base/mutex.ts";
import type { AgentKeeper, LiveAgent } from "./agent-link/agent-keeper.ts";
import { preambleOf } from "./agent-link/preamble.ts";
import { localResponse } from "./agent-link/rpc.ts";
import type { SessionDeps } from "./deps.ts";
import { CANCEL_GRACE_MS, MAX_PROMPT_BYTES, MAX_QUEUED_PROMPTS, MAX_SESSIONS_BYTES } from "./limits.ts";
import type { Permissions } from "./permissions.ts";
import type { SessionLog } from "./transcript/session-log.ts";
import type { SessionState } from "./transcript/session-state.ts";
import { Turn } from "./turn.ts";

interface PromptsDeps {
  state: SessionState;
  log: SessionLog;
  keeper: AgentKeeper;
  permissions: Permissions;
  vm: Pick<SessionDeps, "whileRunning" | "keepFiles" | "memory">;
}

/** The prompts of one session. They run one at a time, because agents handle concurrent prompts differently. */
export class Prompts {
  readonly #deps: PromptsDeps;
  readonly #mutex = new Mutex();
  /** The running prompt and the queued ones, in order. */
  readonly #turns: Turn[] = [];
  /** Timer that kills an agent that continues a cancelled turn. */
  #grace: NodeJS.Timeout | undefined;

  constructor(deps: PromptsDeps) {
    this.#deps = deps;
  }

  /** Number of prompts that wait or run. */
  get count(): number {
    return this.#turns.length;
  }

  async prompt(prompt: string): Promise<PromptResult> {
    const { data } = this.#deps.state;
    if (!fitsUtf8(prompt, MAX_PROMPT_BYTES)) {
      throw limitExceeded(
        { MAX_PROMPT_BYTES },
        "The prompt is too long",
        "Write the text to a file and refer to it.",
      );
    }
    if (data.closed) throw sessionClosed(data.sessionId);
    if (this.#turns.length > MAX_QUEUED_PROMPTS) {
      throw limitExceeded(
        { MAX_QUEUED_PROMPTS },
        "Prompt queue of the session is full",
        "Wait for a prompt to end.",
      );
    }
    const { memory } = this.#deps.vm;
    const bytes = Buffer.byteLength(prompt);
    if (!memory.take(bytes)) {
      throw limitExceeded(
        { MAX_SESSIONS_BYTES },
        "The sessions of the VM take too much memory",
        "Wait for a prompt to end.",
      );
    }
    const turn = new Turn(prompt, currentCaller().identity, memory);
    this.#turns.push(turn);
    const result = this.#mutex
      .run(() => this.#runTurn(turn))
      .finally(() => {
        turn.isOver = true;
        turn.release();
        memory.give(bytes);
        this.#turns.splice(this.#turns.indexOf(turn), 1);
      });
    this.#deps.vm.whileRunning(result);
    return result;
  }

  /** Cancels the oldest prompt. */
  cancel(): JsonRpcResponse {
    return this.#cancelAll(this.#turns.slice(0, 1));
  }

  /** Cancels the running prompt and the queued ones. */
  cancelAll(): JsonRpcResponse {
    return this.#cancelAll([...this.#turns]);
  }

  #cancelAll(turns: readonly Turn[]): JsonRpcResponse {
    const cancelled = turns.filter((turn) => this.#cancel(turn));
    return localResponse({ result: { cancelled: cancelled.length > 0 } });
  }

  #cancel(turn: Turn): boolean {
    if (!turn.cancel()) return false;
    const { keeper, log } = this.#deps;
    const { live } = keeper;
    if (turn === log.turn && live) {
      const { connection, agentSessionId } = live;
      connection.notify(AGENT_METHODS.session_cancel, { sessionId: agentSessionId });
      this.#grace = setTimeout(() => void connection.kill(), CANCEL_GRACE_MS);
      this.#deps.permissions.cancel();
    }
    return true;
  }

  async #runTurn(turn: Turn): Promise<PromptResult> {
    const { state, log, keeper, vm } = this.#deps;
    if (turn.isCancelled) return turn.cancelledResult();
    if (state.data.closed) throw sessionClosed(state.data.sessionId);
    const agent = await Promise.race([keeper.agent(), turn.cancelled]);
    if (agent === undefined) return turn.cancelledResult();
    const preface = await this.#preface(agent);
    if (!state.data.prompted) await state.change({ prompted: true });
    if (turn.isCancelled) return turn.cancelledResult();
    try {
      return await log.during(turn, () => this.#send(agent, turn, preface));
    } finally {
      clearTimeout(this.#grace);
      await vm.keepFiles();
    }
  }

  async #send(agent: LiveAgent, turn: Turn, preface: readonly string[]): Promise<PromptResult> {
    const { log, keeper } = this.#deps;
    const { connection, agentSessionId } = agent;
    const prompt = [...preface, turn.prompt].map((text) => ({ type: "text", text }));
    log.update({ sessionUpdate: "user_message_chunk", content: { type: "text", text: turn.prompt } });
    try {
      const response = await connection.request(
        AGENT_METHODS.session_prompt,
        { sessionId: agentSessionId, prompt },
        () => {
          turn.isOver = true;
        },
      );
      keeper.resetCrashes();
      agent.isFresh = false;
      await log.flushed();
      return turn.result(response);
    } catch (error) {
      await log.flushed();
      if (turn.isCancelled) return turn.cancelledResult();
      throw error;
    }
  }

  /** Text blocks to send before the prompt: instructions, and the conversation so far for a restarted agent. */
  async #preface(agent: LiveAgent): Promise<string[]> {
    const { prompted } = this.#deps.state.data;
    const isDue = agent.isFresh || !prompted;
    const preamble = agent.isFresh && prompted ? await preambleOf(this.#deps.log.after()) : undefined;
    return [isDue ? agent.instructions : undefined, preamble].filter((text) => text !== undefined);
  }
}
