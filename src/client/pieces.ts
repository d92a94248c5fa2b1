import { AgentVmError } from "../api/errors.ts";

/** Where bytes come from. */
export type PieceSource =
  | Uint8Array
  | ArrayBuffer
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>;

interface PieceOptions {
  /** Pieces are filled up to this size. */
  maxBytes: number;
  /** What has come by then is handed on, be it nothing: milliseconds. */
  patienceMs: number;
  signal: AbortSignal | undefined;
}

/** Bytes in pieces of a size that suits the wire. The source is let go of, however it ends. */
export function piecesOf(
  source: PieceSource,
  options: PieceOptions,
): { pieces: AsyncGenerator<Uint8Array>; total: number | null } {
  const whole = source instanceof ArrayBuffer ? new Uint8Array(source) : source;
  if (whole instanceof Uint8Array) return { pieces: cut(whole, options), total: whole.byteLength };
  return { pieces: collect(whole, options), total: null };
}

async function* cut(whole: Uint8Array, { maxBytes }: PieceOptions): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < whole.byteLength; offset += maxBytes) {
    yield whole.subarray(offset, offset + maxBytes);
  }
}

async function* collect(
  from: PieceSource,
  { maxBytes, patienceMs, signal }: PieceOptions,
): AsyncGenerator<Uint8Array> {
  const source = readerOf(from);
  const { aborted, release } = abortion(signal);
  let waiting: Promise<IteratorResult<unknown>> | undefined;
  let parts: Uint8Array[] = [];
  let bytes = 0;
  const take = () => {
    const piece = joined(parts, bytes);
    parts = [];
    bytes = 0;
    return piece;
  };
  let since = Date.now();
  try {
    for (;;) {
      waiting ??= Promise.resolve(source.next());
      const next = await within(Promise.race([waiting, aborted]), since + patienceMs - Date.now());
      if (next === undefined || Date.now() - since >= patienceMs) {
        yield take();
        since = Date.now();
      }
      if (next === undefined) continue;
      waiting = undefined;
      if (next.done) break;
      const data = checked(next.value);
      for (let offset = 0; offset < data.byteLength; ) {
        const part = data.subarray(offset, offset + maxBytes - bytes);
        parts.push(part);
        bytes += part.byteLength;
        offset += part.byteLength;
        if (bytes < maxBytes) continue;
        yield take();
        since = Date.now();
      }
    }
    if (bytes > 0) yield take();
  } finally {
    release();
    // A source that still waits cannot be told before it answers.
    const ending = source.return?.();
    if (ending instanceof Promise) ending.catch(() => undefined);
  }
}

function readerOf(source: unknown): AsyncIterator<unknown> | Iterator<unknown> {
  if (typeof source === "object" && source !== null) {
    if (source instanceof ReadableStream) return streamReader(source);
    if (Symbol.asyncIterator in source) return (source as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    if (Symbol.iterator in source) return (source as Iterable<unknown>)[Symbol.iterator]();
  }
  throw notBytes("bytes, or a stream of them");
}

/** Not every browser iterates a stream. */
function streamReader(stream: ReadableStream<unknown>): AsyncIterator<unknown> {
  const reader = stream.getReader();
  return {
    async next() {
      const { done, value } = await reader.read();
      return done ? { done, value: undefined } : { done, value };
    },
    async return() {
      await reader.cancel().catch(() => undefined);
      return { done: true, value: undefined };
    },
  };
}

function checked(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw notBytes("a stream of bytes");
}

function notBytes(expected: string): AgentVmError {
  return new AgentVmError("invalid_argument", `Expected \`data\` to be ${expected}`, { argument: "data" });
}

export function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

/** Rejects when the signal is aborted. */
function abortion(signal: AbortSignal | undefined): { aborted: Promise<never>; release(): void } {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => undefined);
  const abort = () => reject(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  return { aborted, release: () => signal?.removeEventListener("abort", abort) };
}

/** `undefined` where a promise has not settled within some milliseconds. */
async function within<Value>(work: Promise<Value>, ms: number): Promise<Value | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), Math.max(ms, 0));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
