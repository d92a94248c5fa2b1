import { invalidArgument } from "../api/errors.ts";
import { unlessAborted, within } from "../base/within.ts";

/** Bytes, or a stream of bytes. */
export type PieceSource =
  | Uint8Array
  | ArrayBuffer
  | Blob
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>;

/** Most streams are small, so a piece's buffer begins with this size and doubles. */
const MIN_ROOM_BYTES = 64 * 1024;

interface PieceOptions {
  /** Size of a full piece. */
  maxBytes: number;
  /** Milliseconds after which the bytes collected so far are yielded, even if there are none. */
  patienceMs: number;
  signal: AbortSignal | undefined;
  /** Name of the source among the arguments of its call. @default "data" */
  name?: string;
}

/**
 * Cuts or collects bytes into pieces of one size. Closes the source at the end and after an error. A piece holds until the next one is
 * asked for: all pieces of a stream share one buffer. A value of the source is copied before the next one is asked for.
 *
 * @throws AgentVmError `invalid_argument` for a source that is neither bytes nor a stream; the pieces throw it for other values in it
 */
export function piecesOf(
  source: PieceSource,
  options: PieceOptions,
): { pieces: AsyncGenerator<Uint8Array>; total: number | null } {
  const whole = source instanceof ArrayBuffer ? new Uint8Array(source) : source;
  if (whole instanceof Uint8Array) return { pieces: cut(whole, options), total: whole.byteLength };
  const { name = "data" } = options;
  if (!isStream(whole)) throw invalidArgument(name, "bytes, or a stream of them", whole);
  checkUnlocked(name, whole);
  return { pieces: collect(whole, name, options), total: whole instanceof Blob ? whole.size : null };
}

async function* cut(whole: Uint8Array, { maxBytes }: PieceOptions): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < whole.byteLength; offset += maxBytes) {
    yield whole.subarray(offset, offset + maxBytes);
  }
}

/** Refuses a stream that something else reads. @throws AgentVmError `invalid_argument` */
export function checkUnlocked(name: string, source: unknown): void {
  if (source instanceof ReadableStream && source.locked)
    throw invalidArgument(name, "a stream that is not locked", source);
}

async function* collect(
  from: Exclude<PieceSource, ArrayBuffer>,
  name: string,
  { maxBytes, patienceMs, signal }: PieceOptions,
): AsyncGenerator<Uint8Array> {
  const source = readerOf(from);
  let waiting: Promise<IteratorResult<unknown>> | undefined;
  let room: Uint8Array = new Uint8Array();
  let bytes = 0;
  const add = (part: Uint8Array) => {
    const needed = bytes + part.byteLength;
    if (needed > room.byteLength) {
      const larger = new Uint8Array(
        Math.min(maxBytes, Math.max(needed, 2 * room.byteLength, MIN_ROOM_BYTES)),
      );
      larger.set(room.subarray(0, bytes));
      room = larger;
    }
    room.set(part, bytes);
    bytes = needed;
  };
  const take = () => {
    const piece = room.subarray(0, bytes);
    bytes = 0;
    return piece;
  };
  let since = Date.now();
  try {
    for (;;) {
      waiting ??= nextOf(source, signal);
      const next = await within(waiting, since + patienceMs - Date.now());
      if (next === undefined || Date.now() - since >= patienceMs) {
        yield take();
        since = Date.now();
      }
      if (next === undefined) continue;
      waiting = undefined;
      if (next.done) break;
      const data = checked(name, next.value);
      for (let offset = 0; offset < data.byteLength; ) {
        const part = data.subarray(offset, offset + maxBytes - bytes);
        add(part);
        offset += part.byteLength;
        if (bytes < maxBytes) continue;
        yield take();
        since = Date.now();
      }
    }
    if (bytes > 0) yield take();
  } finally {
    // A source that is still waiting handles `return` only after its next value, so nothing awaits it.
    const ending = source.return?.();
    if (ending instanceof Promise) ending.catch(() => undefined);
  }
}

function isStream(source: unknown): source is Exclude<PieceSource, Uint8Array | ArrayBuffer> {
  if (typeof source !== "object" || source === null || ArrayBuffer.isView(source)) return false;
  return (
    source instanceof ReadableStream ||
    source instanceof Blob ||
    Symbol.asyncIterator in source ||
    Symbol.iterator in source
  );
}

function readerOf(source: Exclude<PieceSource, ArrayBuffer>): AsyncIterator<unknown> | Iterator<unknown> {
  if (source instanceof ReadableStream) return streamReader(source);
  if (source instanceof Blob) return streamReader(source.stream());
  if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
  return source[Symbol.iterator]();
}

/** Iterates a stream. Some browsers have no async iterator on streams. */
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

function checked(name: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw invalidArgument(name, "a stream of bytes", value);
}

/**
 * Reads the next value, unless the signal aborts. A race with one promise for all values would keep each of them until the end of the
 * source.
 */
async function nextOf(
  source: AsyncIterator<unknown> | Iterator<unknown>,
  signal: AbortSignal | undefined,
): Promise<IteratorResult<unknown>> {
  const next = source.next();
  return await (signal === undefined ? next : unlessAborted(next, signal));
}
