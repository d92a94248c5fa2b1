import { z } from "zod";
import type {
  JsonRpcError,
  JsonRpcNotification,
  JsonRpcResponse,
} from "../../../api/methods/session-types.ts";
import type { ByteShare } from "../../../base/byte-share.ts";
import { MAX_AGENT_REQUESTS } from "../limits.ts";
import { messageBytes } from "../transcript/message-bytes.ts";
import { type Message, MessageFault, parseMessage } from "./message.ts";

export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;
export const RESOURCE_NOT_FOUND = -32002;
const BUSY = -32000;

/** An error to send to the agent. */
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

/** A response that the server makes without a request to the agent. */
export function localResponse(answer: { result: unknown } | { error: JsonRpcError }): JsonRpcResponse {
  return { jsonrpc: "2.0", id: null, ...answer };
}

export interface RpcHandlers {
  /** Called with each notification, in the order of arrival. @param values number of its values, which take memory */
  notification(message: JsonRpcNotification, values: number): void;
  request(method: string, params: unknown): Promise<unknown>;
  /** Called with a line that is not a JSON-RPC message, such as a banner, and with an answer to an unknown request. */
  stray(line: string): void;
}

/** Memory of unanswered requests above which the server stops reading, and below which it reads again. */
const BUSY_ABOVE_BYTES = 32 * 1024 * 1024;
const IDLE_BELOW_BYTES = 8 * 1024 * 1024;

const errorSchema = z.looseObject({ code: z.number(), message: z.string() });

interface Waiting {
  resolve(response: JsonRpcResponse): void;
  fail(error: unknown): void;
}

/** Transport of the lines. */
interface RpcChannel {
  send(line: string): void;
  /** Called with `true` when too many requests wait for an answer, and with `false` when few are left. */
  busy(isBusy: boolean): void;
  /** Called when the agent has broken the protocol. The transport ends the agent. */
  broken(fault: string): void;
}

/**
 * The server's end of JSON-RPC 2.0 over lines. It keeps unknown fields and unknown notifications, which the ACP SDK
 * drops.
 */
export class RpcPeer {
  readonly #channel: RpcChannel;
  readonly #handlers: RpcHandlers;
  readonly #memory: ByteShare;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #serving = 0;
  #servingBytes = 0;
  #failure: unknown;

  /** @param memory pays for requests of the agent until they are answered */
  constructor(channel: RpcChannel, handlers: RpcHandlers, memory: ByteShare) {
    this.#channel = channel;
    this.#memory = memory;
    this.#handlers = handlers;
  }

  /**
   * Sends a request. A JSON-RPC error does not reject the promise.
   *
   * @param onResponse called as soon as the answer is read, before any later message of the same read
   * @throws the error that was passed to `fail`
   */
  request(method: string, params: unknown, onResponse?: (response: JsonRpcResponse) => void) {
    return new Promise<JsonRpcResponse>((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      const id = this.#nextId++;
      this.#waiting.set(id, {
        resolve: (response) => {
          onResponse?.(response);
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
    const parsed = this.#parse(line);
    if (parsed === undefined) {
      this.#handlers.stray(line);
      return;
    }
    const { message, values } = parsed;
    const { id, method } = message;
    if (method === undefined) this.#onAnswer(message, line);
    else if (id === undefined) this.#handlers.notification({ ...message, jsonrpc: "2.0", method }, values);
    else void this.#serve(id, method, message.params, messageBytes(line.length, values));
  }

  /** Rejects all open and later requests. Called when the agent has ended. */
  fail(error: unknown): void {
    this.#failure ??= error;
    for (const { fail } of this.#waiting.values()) fail(error);
    this.#waiting.clear();
  }

  #parse(line: string): ReturnType<typeof parseMessage> {
    try {
      return parseMessage(line);
    } catch (error) {
      if (!(error instanceof MessageFault)) throw error;
      this.#channel.broken(error.message);
      return undefined;
    }
  }

  #onAnswer(message: Message, line: string): void {
    const waiting = typeof message.id === "number" ? this.#waiting.get(message.id) : undefined;
    if (waiting === undefined || typeof message.id !== "number") {
      this.#handlers.stray(line);
      return;
    }
    this.#waiting.delete(message.id);
    const error = errorSchema.safeParse(message.error);
    waiting.resolve({
      jsonrpc: "2.0",
      id: message.id,
      ...(error.success
        ? { error: { ...error.data } }
        : { result: message.result === undefined ? null : message.result }),
    });
  }

  async #serve(id: string | number | null, method: string, params: unknown, bytes: number): Promise<void> {
    if (this.#serving >= MAX_AGENT_REQUESTS || !this.#memory.take(bytes)) {
      this.#write({ id, error: { code: BUSY, message: "Too many requests at once" } });
      return;
    }
    this.#serving++;
    this.#servingBytes += bytes;
    if (this.#servingBytes > BUSY_ABOVE_BYTES) this.#channel.busy(true);
    try {
      const result = await this.#handlers.request(method, params);
      this.#write({ id, result });
    } catch (error) {
      this.#write({ id, error: toJsonRpcError(error) });
    } finally {
      this.#serving--;
      this.#servingBytes -= bytes;
      this.#memory.give(bytes);
      if (this.#servingBytes < IDLE_BELOW_BYTES) this.#channel.busy(false);
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
  // The text of an unexpected error could leak details of the host into the VM.
  return { code: INTERNAL_ERROR, message: "Internal error" };
}
