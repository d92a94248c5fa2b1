import { invalidArgument } from "../api/errors.ts";
import { TRANSFER_CHUNK_BYTES, TRANSFER_IDLE_MS } from "../api/limits.ts";
import type { FileReadTransfer, TransferTicket } from "../api/methods/transport.ts";
import type { Bytes } from "../api/values.ts";
import { readBodies, type Ways, writeBody } from "./bodies.ts";
import { piecesOf } from "./pieces.ts";
import { Steps } from "./steps.ts";
import type { TransferOptions } from "./transfer-types.ts";

/** Runs an action. */
export type Invoke = (action: string, args: unknown[], signal?: AbortSignal) => Promise<unknown>;

/** Pieces in flight: one travels while the server writes the other. */
const PIECES_IN_FLIGHT = 2;

/** A larger file travels as the body of an HTTP message. */
const DIRECT_READ_BYTES = 256 * 1024;

/** A larger file travels as the body of an HTTP message. The server stores a smaller one faster with its call. */
const DIRECT_WRITE_BYTES = 768 * 1024;

/** Bytes of one request's body. A slow connection must be able to send them within REQUEST_TIMEOUT_MS, or goes on after it. */
const BODY_BYTES = 64 * 1024 * 1024;

/** Attempts at reading a file that changes while broken connections interrupt the reading. */
const MAX_READINGS = 3;

/** Milliseconds between messages of a write whose source is slow. The server drops a transfer without messages. */
export const KEEP_MS = TRANSFER_IDLE_MS / 4;

/** Reads a whole file: a small file in one request, a larger file as the body of an HTTP response. */
export async function readFile(ways: Ways, path: string, options: TransferOptions = {}): Promise<Uint8Array> {
  for (let reading = 1; ; reading++) {
    try {
      return await readOnce(ways, path, options);
    } catch (error) {
      if ((error as { code?: unknown }).code !== "file_changed" || reading === MAX_READINGS) throw error;
    }
  }
}

async function readOnce(
  ways: Ways,
  path: string,
  { onProgress, signal }: TransferOptions,
): Promise<Uint8Array> {
  const first = await begin(ways, path, signal);
  const { size, data, transferId, direct } = first;
  const steps = new Steps((transferred) => onProgress?.({ transferred, total: size }));
  if (transferId === null) {
    steps.end(data.byteLength);
    return data;
  }
  const whole = new Uint8Array(size);
  whole.set(data);
  let transferred = data.byteLength;
  try {
    if (direct) {
      for await (const piece of readBodies(ways, { transferId, signal }, transferred, size, whole)) {
        if (piece.buffer !== whole.buffer) whole.set(piece, transferred);
        transferred += piece.byteLength;
        steps.reach(transferred);
      }
    } else {
      await eachPiece(data.byteLength, size, signal, async (offset) => {
        const piece = (await ways.invoke("readFileChunk", [transferId, offset], signal)) as Uint8Array;
        whole.set(piece, offset);
        transferred += piece.byteLength;
        steps.reach(transferred);
      });
    }
  } finally {
    await end(ways.invoke, transferId);
  }
  steps.end(transferred);
  // The file was truncated while it was read.
  return transferred < size ? whole.subarray(0, transferred) : whole;
}

/** Opens a file as a stream. Reads nothing but its first bytes before the stream is read. */
export async function readFileStream(
  ways: Ways,
  path: string,
  { onProgress, signal }: TransferOptions = {},
): Promise<ReadableStream<Uint8Array>> {
  const first = await begin(ways, path, signal);
  const pieces = piecesFrom(ways, first, signal);
  const steps = new Steps((transferred) => onProgress?.({ transferred, total: first.size }));
  let transferred = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await pieces.next();
        if (next.done) {
          steps.end(transferred);
          controller.close();
          return;
        }
        transferred += next.value.byteLength;
        steps.reach(transferred);
        controller.enqueue(next.value);
      },
      async cancel() {
        await pieces.return();
        // A generator that has not begun runs no `finally`.
        if (first.transferId !== null) await end(ways.invoke, first.transferId);
      },
    },
    { highWaterMark: 0 },
  );
}

async function* piecesFrom(
  ways: Ways,
  { size, data, transferId, direct }: FileReadTransfer,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    if (data.byteLength > 0) yield data;
    if (transferId === null) return;
    if (direct) {
      yield* readBodies(ways, { transferId, signal }, data.byteLength, size);
      return;
    }
    for (let offset = data.byteLength; offset < size; ) {
      const piece = (await ways.invoke("readFileChunk", [transferId, offset], signal)) as Uint8Array;
      if (piece.byteLength === 0) return;
      offset += piece.byteLength;
      yield piece;
    }
  } finally {
    if (transferId !== null) await end(ways.invoke, transferId);
  }
}

async function begin(
  { invoke }: Ways,
  path: string,
  signal: AbortSignal | undefined,
): Promise<FileReadTransfer> {
  return (await invoke("beginFileRead", [path, DIRECT_READ_BYTES], signal)) as FileReadTransfer;
}

/** Replaces a file in one step: with one request, or with the bodies of HTTP requests. */
export async function writeFile(
  ways: Ways,
  path: string,
  content: Bytes | ArrayBuffer,
  { onProgress, signal }: TransferOptions = {},
): Promise<void> {
  const data = toBytes(content);
  const total = data.byteLength;
  if (total <= DIRECT_WRITE_BYTES) {
    await ways.invoke("writeFile", [path, data], signal);
    onProgress?.({ transferred: total, total });
    return;
  }
  const steps = new Steps((transferred) => onProgress?.({ transferred, total }));
  const ticket = (await ways.invoke("beginFileWrite", [path, total], signal)) as TransferTicket;
  const { transferId, direct } = ticket;
  await committed(ways, transferId, async () => {
    if (direct) {
      for (let offset = 0; offset < total; offset += BODY_BYTES) {
        const piece = data.subarray(offset, offset + BODY_BYTES);
        await writeBody(ways, { transferId, signal }, offset, piece, (sent) => steps.reach(offset + sent));
      }
    } else {
      let transferred = 0;
      await eachPiece(0, total, signal, async (offset) => {
        const piece = data.subarray(offset, offset + TRANSFER_CHUNK_BYTES);
        await ways.invoke("writeFileChunk", [transferId, offset, piece], signal);
        transferred += piece.byteLength;
        steps.reach(transferred);
      });
    }
    steps.end(total);
    await ways.invoke("commitFileWrite", [transferId], signal);
  });
}

interface StreamOptions extends Pick<TransferOptions, "signal"> {
  onProgress?: (progress: { transferred: number; total: never }) => void;
}

/** Replaces a file by a Blob. Never has all bytes of a large one in memory. */
export async function writeFileBlob(
  ways: Ways,
  path: string,
  content: Blob,
  options: TransferOptions = {},
): Promise<void> {
  if (content.size <= DIRECT_WRITE_BYTES) await writeFile(ways, path, await content.arrayBuffer(), options);
  else await writeFileStream(ways, path, content.stream(), options, content.size);
}

/**
 * Replaces a file by the bytes of a stream. Keeps each piece until it has arrived.
 *
 * @param total bytes of the stream, if they are known
 */
export async function writeFileStream(
  ways: Ways,
  path: string,
  content: ReadableStream<Uint8Array>,
  { onProgress, signal }: StreamOptions = {},
  total: number | null = null,
): Promise<void> {
  const name = "content";
  const { pieces } = piecesOf(content, { maxBytes: TRANSFER_CHUNK_BYTES, patienceMs: KEEP_MS, signal, name });
  let ticket: TransferTicket;
  try {
    ticket = (await ways.invoke("beginFileWrite", [path], signal)) as TransferTicket;
  } catch (error) {
    await content.cancel(error).catch(() => undefined);
    throw error;
  }
  const { transferId, direct } = ticket;
  let transferred = 0;
  await committed(ways, transferId, async () => {
    for await (const piece of pieces) {
      signal?.throwIfAborted();
      await (direct && piece.byteLength > 0
        ? writeBody(ways, { transferId, signal }, transferred, piece)
        : ways.invoke("writeFileChunk", [transferId, transferred, piece], signal));
      transferred += piece.byteLength;
      if (piece.byteLength > 0) onProgress?.({ transferred, total: total as never });
    }
    await ways.invoke("commitFileWrite", [transferId, transferred], signal);
  });
}

/** Runs work that ends with a commit. Ends the transfer if the work fails. */
async function committed(ways: Ways, transferId: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    await end(ways.invoke, transferId);
    throw error;
  }
}

/** Ends a transfer at once. Without this message the server ends it after TRANSFER_IDLE_MS. */
export async function end(invoke: Invoke, transferId: string): Promise<void> {
  await invoke("endFileTransfer", [transferId]).catch(() => undefined);
}

async function eachPiece(
  from: number,
  size: number,
  signal: AbortSignal | undefined,
  move: (offset: number) => Promise<void>,
): Promise<void> {
  let next = from;
  const worker = async () => {
    while (next < size) {
      signal?.throwIfAborted();
      const offset = next;
      next += TRANSFER_CHUNK_BYTES;
      await move(offset);
    }
  };
  await Promise.all(Array.from({ length: PIECES_IN_FLIGHT }, worker));
}

function toBytes(content: Bytes | ArrayBuffer): Uint8Array {
  if (typeof content === "string") return new TextEncoder().encode(content);
  if (content instanceof ArrayBuffer) return new Uint8Array(content);
  if (content instanceof Uint8Array) return content;
  const given: unknown = content;
  const isIterable = Symbol.asyncIterator in Object(given);
  const error = invalidArgument("content", "a string, bytes, a Blob or a ReadableStream", given);
  if (isIterable) error.metadata.hint = "ReadableStream.from() makes a stream of an iterable.";
  throw error;
}
