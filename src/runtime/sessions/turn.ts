import type { JsonRpcResponse, PromptResult } from "../../api/methods/session-types.ts";
import type { ByteShare } from "../../base/byte-share.ts";
import { localResponse } from "./agent-link/rpc.ts";
import { MAX_PROMPT_TEXT_BYTES } from "./limits.ts";

/** Pieces of text that are joined: an agent may send a character at a time, and a short string takes 32 bytes. */
const PIECES_JOINED = 1024;

/** One prompt, its cancellation and the text of its answer. */
export class Turn {
  readonly prompt: string;
  readonly identity: unknown;
  readonly #memory: ByteShare;
  readonly #cancelled = Promise.withResolvers<void>();
  #isCancelled = false;
  readonly #joined: string[] = [];
  #pieces: string[] = [];
  #bytes = 0;
  #held = 0;
  /** `true` once the agent has answered. Text that arrives later belongs to no turn. */
  isOver = false;

  /**
   * @param identity identity of the client that sent the prompt
   * @param memory pays for the text of the answer
   */
  constructor(prompt: string, identity: unknown, memory: ByteShare) {
    this.prompt = prompt;
    this.identity = identity;
    this.#memory = memory;
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** Resolves when the turn is cancelled. */
  get cancelled(): Promise<void> {
    return this.#cancelled.promise;
  }

  /** @returns `true` for the first call only: an agent may apply a second `session/cancel` to the next turn. */
  cancel(): boolean {
    if (this.#isCancelled || this.isOver) return false;
    this.#isCancelled = true;
    this.#cancelled.resolve();
    return true;
  }

  get #text(): string {
    return [...this.#joined, ...this.#pieces].join("");
  }

  /** Gives back the memory, when the result has been taken. */
  release(): void {
    this.#memory.give(this.#held);
    this.#held = 0;
  }

  /** Adds text of the agent. Text for which there is no room is only in the events. */
  addText(text: string): void {
    if (text === "" || this.isOver || this.#bytes >= MAX_PROMPT_TEXT_BYTES) return;
    const rest = MAX_PROMPT_TEXT_BYTES - this.#bytes;
    const bytes = Buffer.byteLength(text);
    if (!this.#memory.take(bytes)) {
      this.#bytes = MAX_PROMPT_TEXT_BYTES;
      return;
    }
    this.#held += bytes;
    this.#bytes += bytes;
    this.#pieces.push(bytes <= rest ? text : Buffer.from(text).subarray(0, rest).toString("utf8"));
    if (this.#pieces.length === PIECES_JOINED) this.#joined.push(this.#pieces.splice(0).join(""));
  }

  /** The agent's answer. Some agents answer a cancelled prompt with an error; the caller gets `cancelled` instead. */
  result(response: JsonRpcResponse): PromptResult {
    if (this.#isCancelled && response.error) return this.cancelledResult();
    return { response, text: this.#text };
  }

  cancelledResult(): PromptResult {
    return { response: localResponse({ result: { stopReason: "cancelled" } }), text: this.#text };
  }
}
