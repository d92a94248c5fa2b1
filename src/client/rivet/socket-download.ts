import type * as Net from "node:net";
import { deferred } from "../../base/deferred.ts";
import type { Download, DownloadRequest } from "./download.ts";
import { unreachable } from "./errors.ts";

/** Longest head of an answer. */
const MAX_HEAD_BYTES = 64 * 1024;

/** Bytes that one read takes at most. */
const READ_BYTES = 1024 * 1024;

/**
 * Longest silence of a server, as for `fetch` in Node.
 * @unit ms
 */
const SILENCE_MS = 300_000;

/** Where a program may have put its own way of `fetch` to servers, such as a proxy. */
const DISPATCHER = Symbol.for("undici.globalDispatcher.1");

const { fetch: ownFetch } = globalThis;

/** Returns Node's sockets for a URL without TLS. `undefined` elsewhere, and for a program with its own way of sending requests. */
export function socketsOf(url: string): typeof Net | undefined {
  const { process, Deno } = globalThis as {
    process?: { versions?: Record<string, string | undefined>; getBuiltinModule?(name: string): unknown };
    Deno?: unknown;
  };
  const { node, bun } = process?.versions ?? {};
  if (!url.startsWith("http:") || node === undefined || bun !== undefined || Deno !== undefined)
    return undefined;
  const dispatcher = (globalThis as { [DISPATCHER]?: object })[DISPATCHER];
  const isOwn = dispatcher === undefined || dispatcher.constructor.name === "Agent";
  if (globalThis.fetch !== ownFetch || !isOwn) return undefined;
  return process?.getBuiltinModule?.("node:net") as typeof Net | undefined;
}

type Head = Pick<Download, "status" | "length">;

/**
 * Asks for a body over a connection of its own. The kernel puts the bytes into the room, without copies and without buffers for the
 * garbage collector.
 *
 * @returns `undefined` for an answer that needs more of HTTP than this, such as one in chunks or a redirect
 */
export async function downloadInto(
  net: typeof Net,
  { url, headers, signal, room }: DownloadRequest & { room: Uint8Array },
): Promise<Download | undefined> {
  signal?.throwIfAborted();
  const { hostname, port, host, pathname, search } = new URL(url);
  const body = new ArrivingBody(room);
  const socket = net.connect({
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || 80),
    onread: { buffer: () => body.target(), callback: (count) => body.take(count) },
    signal,
  });
  socket.setTimeout(SILENCE_MS, () => socket.destroy(new Error("The server is silent")));
  socket.on("error", (error) => body.fail(signal?.aborted ? signal.reason : error));
  socket.on("close", () => body.fail(new Error("The connection was closed")));
  const lines = Object.entries({ ...headers, host, connection: "close" });
  if (lines.some((line) => /[\r\n]/.test(line.join("")))) {
    socket.destroy();
    return undefined;
  }
  socket.write(
    `GET ${pathname}${search} HTTP/1.1\r\n${lines.map((line) => `${line.join(": ")}\r\n`).join("")}\r\n`,
  );
  try {
    const head = await body.head;
    if (head === undefined) {
      socket.destroy();
      return undefined;
    }
    const { status, length } = head;
    return { status, length, pieces: body.pieces(() => socket.destroy()) };
  } catch (error) {
    socket.destroy();
    if (signal?.aborted) throw signal.reason;
    throw unreachable(url, error);
  }
}

/** An answer that arrives: first its head, then its body, which fills a room. */
class ArrivingBody {
  readonly #room: Uint8Array;
  #head: Uint8Array | undefined = new Uint8Array(MAX_HEAD_BYTES);
  #filled = 0;
  #length = 0;
  #failure: { error: unknown } | undefined;
  #moved = deferred<void>();
  readonly #answered = deferred<Head | undefined>();
  /** `undefined` if the answer is of another kind. */
  readonly head: Promise<Head | undefined> = this.#answered.promise;

  constructor(room: Uint8Array) {
    this.#room = room;
    // A failure after the head has nobody who waits for it.
    this.head.catch(() => undefined);
  }

  /** Where the next bytes go. */
  target(): Uint8Array {
    if (this.#head !== undefined) return this.#head.subarray(this.#filled);
    return this.#room.subarray(this.#filled, Math.min(this.#filled + READ_BYTES, this.#length));
  }

  /** Takes bytes that have arrived at the target. @returns whether more are wanted */
  take(count: number): boolean {
    this.#filled += count;
    if (this.#head !== undefined) {
      const isMissing = !this.#parse(this.#head);
      if (isMissing && this.#filled < MAX_HEAD_BYTES) return true;
      if (this.#head !== undefined) this.#answered.resolve(undefined);
      if (isMissing) return false;
    }
    this.#move();
    return this.#filled < this.#length;
  }

  fail(error: unknown): void {
    if (this.#head === undefined && this.#filled === this.#length) return;
    this.#failure ??= { error };
    this.#answered.reject(error);
    this.#move();
  }

  /** The pieces of the body, as parts of the room. @param end ends the connection */
  async *pieces(end: () => void): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (let seen = 0; seen < this.#length; ) {
        if (this.#filled > seen) {
          const piece = this.#room.subarray(seen, this.#filled);
          seen = this.#filled;
          yield piece;
        } else if (this.#failure !== undefined) throw this.#failure.error;
        else await this.#moved.promise;
      }
    } finally {
      end();
    }
  }

  #move(): void {
    this.#moved.resolve();
    this.#moved = deferred<void>();
  }

  /** Reads the head, if it is whole. @returns `false` if it is not, or is of another kind */
  #parse(bytes: Uint8Array): boolean {
    const text = new TextDecoder("latin1").decode(bytes.subarray(0, this.#filled));
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const [first = "", ...lines] = text.slice(0, end).split("\r\n");
    const fields = new Map(
      lines.map((line) => [
        line.slice(0, line.indexOf(":")).toLowerCase(),
        line.slice(line.indexOf(":") + 1),
      ]),
    );
    const status = Number(/^HTTP\/1\.[01] ([245]\d\d)(?: |$)/.exec(first)?.[1]);
    const length = Number(/^\s*(\d{1,15})\s*$/.exec(fields.get("content-length") ?? "")?.[1]);
    const rest = bytes.slice(end + 4, this.#filled);
    const isPlain = !fields.has("transfer-encoding") && !fields.has("content-encoding");
    if (!isPlain || !(status > 0) || !(length >= rest.length) || length > this.#room.length) {
      this.#filled = MAX_HEAD_BYTES;
      return false;
    }
    this.#head = undefined;
    this.#length = length;
    this.#room.set(rest);
    this.#filled = rest.length;
    this.#answered.resolve({ status, length });
    return true;
  }
}
