import { z } from "zod";
import { MAX_AGENT_REQUESTS } from "../../api/limits.ts";
import type { JsonRpcError, JsonRpcNotification, JsonRpcResponse } from "../../api/types.ts";
import { type Message, MessageFault, parseMessage } from "./message.ts";

export const PARSE_ERROR = -32700;
export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;
export const RESOURCE_NOT_FOUND = -32002;
const BUSY = -32000;

/** An error as the other side shall see it. */
export class RpcError extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

export function methodNotFound(method: string): RpcError {
  return new RpcError(METHOD_NOT_FOUND, `Method not found: ${method}`, { method });
}

/** A response of ours, where no agent was asked. */
export function localResponse(answer: { result: unknown } | { error: JsonRpcError }): JsonRpcResponse {
  return { jsonrpc: "2.0", id: null, ...answer };
}

export interface RpcHandlers {
  /** Called in the order in which the other side sent them. */
  notification(message: JsonRpcNotification): void;
  request(method: string, params: unknown): Promise<unknown>;
  /** A line that is no JSON-RPC message, such as a banner. */
  stray(line: string): void;
}

/** Requests that are being answered: above the first, nothing more is read; below the second, it goes on. */
const BUSY_ABOVE_CHARS = 32 * 1024 * 1024;
const IDLE_BELOW_CHARS = 8 * 1024 * 1024;

const errorSchema = z.looseObject({ code: z.number(), message: z.string() });

interface Waiting {
  settle(response: JsonRpcResponse): void;
  fail(error: unknown): void;
}

/** What carries the lines. */
export interface RpcChannel {
  send(line: string): void;
  /** The other side asks for more than is answered, or no longer does. */
  busy(isBusy: boolean): void;
  /** The other side has sent what it must not: nothing more is heard of it. */
  broken(fault: string): void;
}

/**
 * One end of JSON-RPC 2.0 over lines. What comes is passed on as it is, unknown fields and unknown notifications too: the
 * protocol's own library drops both.
 */
export class RpcPeer {
  readonly #channel: RpcChannel;
  readonly #handlers: RpcHandlers;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #serving = 0;
  #servingChars = 0;
  #failure: unknown;

  constructor(channel: RpcChannel, handlers: RpcHandlers) {
    this.#channel = channel;
    this.#handlers = handlers;
  }

  /**
   * Asks the other side. A JSON-RPC error is an answer like another.
   *
   * @param onSettled called in the turn in which the answer is read: what the same read brings after it comes later.
   * @throws what `fail` was told.
   */
  request(
    method: string,
    params: unknown,
    onSettled?: (response: JsonRpcResponse) => void,
  ): Promise<JsonRpcResponse> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      const id = this.#nextId++;
      this.#waiting.set(id, {
        settle: (response) => {
          onSettled?.(response);
          resolve(response);
        },
        fail: reject,
      });
      this.#write({ id, method, params });
    });
  }

  notify(method: string, params: unknown): void {
    this.#write({ method, params });
  }

  receive(line: string): void {
    if (this.#failure !== undefined || line.trim() === "") return;
    const message = this.#parse(line);
    if (message === undefined) this.#handlers.stray(line);
    else if (message.method === undefined) this.#settle(message, line);
    else if (message.id === undefined) {
      this.#handlers.notification({ ...message, jsonrpc: "2.0", method: message.method });
    } else void this.#serve(message.id, message.method, message.params, line.length);
  }

  /** The other side has gone: everything that waits for it ends with the error. */
  fail(error: unknown): void {
    this.#failure ??= error;
    for (const { fail } of this.#waiting.values()) fail(error);
    this.#waiting.clear();
  }

  #parse(line: string): Message | undefined {
    try {
      return parseMessage(line);
    } catch (error) {
      if (!(error instanceof MessageFault)) throw error;
      this.#channel.broken(error.message);
      return undefined;
    }
  }

  #settle(message: Message, line: string): void {
    const waiting = typeof message.id === "number" ? this.#waiting.get(message.id) : undefined;
    if (waiting === undefined || typeof message.id !== "number") {
      this.#handlers.stray(line);
      return;
    }
    this.#waiting.delete(message.id);
    const error = errorSchema.safeParse(message.error);
    waiting.settle({
      jsonrpc: "2.0",
      id: message.id,
      ...(error.success
        ? { error: { ...error.data } }
        : { result: message.result === undefined ? null : message.result }),
    });
  }

  async #serve(id: string | number | null, method: string, params: unknown, chars: number): Promise<void> {
    if (this.#serving >= MAX_AGENT_REQUESTS) {
      this.#write({ id, error: { code: BUSY, message: "Too many requests at once" } });
      return;
    }
    this.#serving++;
    this.#servingChars += chars;
    if (this.#servingChars > BUSY_ABOVE_CHARS) this.#channel.busy(true);
    try {
      const result = await this.#handlers.request(method, params);
      this.#write({ id, result });
    } catch (error) {
      this.#write({ id, error: toJsonRpcError(error) });
    } finally {
      this.#serving--;
      this.#servingChars -= chars;
      if (this.#servingChars < IDLE_BELOW_CHARS) this.#channel.busy(false);
    }
  }

  #write(message: object): void {
    if (this.#failure !== undefined) return;
    this.#channel.send(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }
}

function toJsonRpcError(error: unknown): JsonRpcError {
  if (error instanceof RpcError) {
    const { code, message, data } = error;
    return { code, message, ...(data !== undefined && { data }) };
  }
  // The text of an error that was not raised on purpose stays outside.
  return { code: INTERNAL_ERROR, message: "Internal error" };
}
