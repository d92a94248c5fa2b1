import { MAX_PROMPT_TEXT_BYTES } from "../../api/limits.ts";
import type { JsonRpcResponse, PromptResult } from "../../api/types.ts";
import { localResponse } from "./rpc.ts";

/** One prompt and what becomes of it. */
export class Turn {
  readonly prompt: string;
  readonly #cancelled = Promise.withResolvers<void>();
  #isCancelled = false;
  #pieces: string[] = [];
  #bytes = 0;
  /** The agent has answered: what it says from then on belongs to no turn. */
  isOver = false;

  constructor(prompt: string) {
    this.prompt = prompt;
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Resolves when somebody cancels it. */
  get cancelled(): Promise<void> {
    return this.#cancelled.promise;
  }

  /** @returns whether it was the first to cancel: an agent that is told twice takes the second for the next turn. */
  cancel(): boolean {
    if (this.#isCancelled || this.isOver) return false;
    this.#isCancelled = true;
    this.#cancelled.resolve();
    return true;
  }

  /** Text that the agent says; what comes above the limit is in the events only. */
  say(text: string): void {
    if (text === "" || this.isOver || this.#bytes >= MAX_PROMPT_TEXT_BYTES) return;
    const rest = MAX_PROMPT_TEXT_BYTES - this.#bytes;
    const bytes = Buffer.byteLength(text);
    this.#bytes += bytes;
    this.#pieces.push(bytes <= rest ? text : Buffer.from(text).subarray(0, rest).toString("utf8"));
  }

  /** An agent may answer a cancelled prompt with an error; the caller has asked for its end all the same. */
  result(response: JsonRpcResponse): PromptResult {
    if (this.#isCancelled && response.error) return this.cancelledResult();
    return { response, text: this.#pieces.join("") };
  }

  cancelledResult(): PromptResult {
    return { response: localResponse({ result: { stopReason: "cancelled" } }), text: this.#pieces.join("") };
  }
}
