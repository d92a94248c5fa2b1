import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connectionLost, responseTooLarge } from "../api/errors.ts";
import { MAX_MESSAGE_BYTES } from "../api/limits.ts";
import { BareReader, BareWriter } from "../base/bare.ts";
import { encodings } from "../base/encodings.ts";
import { noteBytes } from "./client-backlog.ts";
import { encodeSlowly } from "./encode-slowly.ts";
import type { Encoding } from "./value-counter.ts";

/** Header that names the outlet of a request. A request of a client has no name of an outlet that is open. */
const HEADER = "x-agent-vm-outlet";

/** Length of a UUID. */
const NAME_LENGTH = 36;

/** Bytes in front of a short text in CBOR, and around it in JSON. */
const HEAD_BYTES = { cbor: [2, 0], bare: [2, 0], json: [1, 1] } as const;

/** Kind of the messages of RivetKit's BARE protocol that answer an action. The others with values are events. */
const ANSWER = 2;

const outlets = new Map<string, Outlet>();

/** Returns the open outlet of a request, by its headers. */
export function outletOf(name: string | undefined): Outlet | undefined {
  return name === undefined ? undefined : outlets.get(name);
}

/** Returns the name of a request's outlet. */
export function outletName(header: (name: string) => unknown): string | undefined {
  const name = header(HEADER);
  return typeof name === "string" && name.length === NAME_LENGTH ? name : undefined;
}

/** Names the outlet of the WebSocket that a request asks for, which `boundWebSockets` opens. */
export function nameOutlet({ headers }: IncomingMessage): void {
  headers[HEADER] = randomUUID();
}

/**
 * The way of one connection's messages, or of one answer, to a client. Large values in them are encoded before, and take their places
 * when a message leaves.
 *
 * For RivetKit 2.2, which encodes a value in one turn of the event loop and copies it four times.
 */
export class Outlet {
  readonly #within: "connection" | "request";
  readonly #encoding: Encoding;
  readonly #name: string;
  /** Encoded values by the text that stands for them in a message. */
  readonly #values = new Map<string, Buffer[]>();
  readonly #ended = new AbortController();
  #waitingBytes = 0;

  constructor(within: "connection" | "request", encoding: Encoding, name: string) {
    this.#within = within;
    this.#encoding = encoding;
    this.#name = name;
    outlets.set(name, this);
  }

  /** Ends the wait of values that are not encoded yet. */
  close(): void {
    outlets.delete(this.#name);
    this.#values.clear();
    this.#ended.abort(connectionLost("The connection has closed"));
  }

  /** Bytes of values that wait to be encoded, and of encoded values that have not left: RivetKit drops an answer that is late. */
  get waitingBytes(): number {
    return [...this.#values.values()].reduce((sum, blocks) => sum + sizeOf(blocks), this.#waitingBytes);
  }

  /**
   * Encodes a value.
   *
   * @param of `isLive`: the value may change meanwhile, as an own action's. `size`: its `leastSize`, which counts while it waits
   * @returns the text that stands for the value, in a message that is sent soon
   * @throws AgentVmError `response_too_large`, `connection_lost`
   */
  async put(
    value: unknown,
    action: string,
    { isLive, size }: { isLive: boolean; size: number },
  ): Promise<string> {
    this.#waitingBytes += size;
    noteBytes(size);
    try {
      return await encodings.run(async () => {
        const blocks = await encodeSlowly(value, this.#encoding, isLive);
        const bytes = sizeOf(blocks);
        if (bytes > MAX_MESSAGE_BYTES)
          throw responseTooLarge(action, bytes, MAX_MESSAGE_BYTES, "Ask for it in parts.");
        const mark = `value ${randomUUID()}`;
        if (outlets.has(this.#name)) this.#values.set(mark, blocks);
        return mark;
      }, this.#ended.signal);
    } finally {
      this.#waitingBytes -= size;
    }
  }

  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  /** Returns a message with a value in its place, in parts. @returns `undefined` for a message without such a value */
  fill(message: unknown): Buffer[] | undefined {
    // A response may end without a last chunk.
    if (this.isEmpty || message === undefined || typeof message === "function") return undefined;
    const bytes = Buffer.from(message as Buffer);
    for (const [mark, blocks] of this.#values) {
      const at = bytes.indexOf(mark);
      if (at < 0) continue;
      this.#values.delete(mark);
      const [before, after] = HEAD_BYTES[this.#encoding];
      const start = at - before;
      const end = at + mark.length + after;
      const head = bytes.subarray(0, start);
      const grown = sizeOf(blocks) - (end - start);
      return [
        this.#encoding === "bare" ? this.#lengthened(bytes, head, grown) : head,
        ...blocks,
        bytes.subarray(end),
      ];
    }
    return undefined;
  }

  /** Returns the head of a message in BARE whose last field, which is data, grows. */
  #lengthened(message: Buffer, head: Buffer, grown: number): Buffer {
    const reader = new BareReader(message);
    reader.version();
    if (this.#within === "connection") {
      if (reader.byte() === ANSWER) reader.integer();
      else reader.text();
    }
    const { length } = reader.data();
    const start = message.length - length;
    const field = new BareWriter().integer(length + grown).bytes();
    const before = start - new BareWriter().integer(length).bytes().length;
    return Buffer.concat([head.subarray(0, before), field, head.subarray(start)]);
  }
}

/** Opens the outlet of a request, whose answer is RivetKit's. */
export function openOutlet(
  request: IncomingMessage,
  response: ServerResponse,
  encoding: Encoding,
): Outlet | undefined {
  // Its client has left while the server let it in.
  if (response.destroyed) return undefined;
  const name = randomUUID();
  const outlet = new Outlet("request", encoding, name);
  request.rawHeaders.push(HEADER, name);
  response.once("close", () => outlet.close());
  const inner = response as unknown as Record<"writeHead" | "write" | "end", (...args: unknown[]) => unknown>;
  const { writeHead, write, end } = inner;
  const fill = (chunk: unknown) => {
    const parts = outlet.fill(chunk);
    for (const part of parts ?? []) write.call(response, part);
    return parts !== undefined;
  };
  Object.assign(inner, {
    writeHead(status: number, ...rest: unknown[]) {
      const [headers] = rest;
      if (outlet.isEmpty || typeof headers !== "object" || headers === null)
        return writeHead.call(response, status, ...rest);
      // The length would be that of the message before it is filled.
      const kept = Object.entries(headers).filter(([header]) => header.toLowerCase() !== "content-length");
      return writeHead.call(response, status, Object.fromEntries(kept));
    },
    write: (...args: unknown[]) => fill(args[0]) || write.apply(response, args),
    end: (...args: unknown[]) => end.apply(response, fill(args[0]) ? [] : args),
  });
  return outlet;
}

function sizeOf(blocks: readonly Buffer[]): number {
  return blocks.reduce((sum, { length }) => sum + length, 0);
}
