import { TRANSFER_CHUNK_BYTES } from "../api/limits.ts";
import type { FileReadTransfer } from "../api/methods/transport.ts";
import type { Bytes } from "../api/values.ts";
import type { TransferOptions } from "./types.ts";

/** Runs an action. */
export type Invoke = (action: string, args: unknown[], signal?: AbortSignal) => Promise<unknown>;

/** Pieces in flight: one travels while the server writes the other. */
const PIECES_IN_FLIGHT = 2;

/** Reads a whole file: a small file in one request, a larger file in pieces. */
export async function readFile(
  invoke: Invoke,
  path: string,
  { onProgress, signal }: TransferOptions = {},
): Promise<Uint8Array> {
  const first = (await invoke("beginFileRead", [path], signal)) as FileReadTransfer;
  const { size, data, transferId } = first;
  onProgress?.({ transferred: data.byteLength, total: size });
  if (transferId === null) return data;
  const whole = new Uint8Array(size);
  whole.set(data);
  let transferred = data.byteLength;
  try {
    await eachPiece(data.byteLength, size, signal, async (offset) => {
      const piece = (await invoke("readFileChunk", [transferId, offset], signal)) as Uint8Array;
      whole.set(piece, offset);
      transferred += piece.byteLength;
      onProgress?.({ transferred, total: size });
    });
  } finally {
    await end(invoke, transferId);
  }
  // The file was truncated while it was read.
  return transferred < size ? whole.subarray(0, transferred) : whole;
}

/** Replaces a file in one step, with one request or in pieces. */
export async function writeFile(
  invoke: Invoke,
  path: string,
  content: Bytes | ArrayBuffer,
  { onProgress, signal }: TransferOptions = {},
): Promise<void> {
  const data = toBytes(content);
  // Invalid content is sent unchanged; the server rejects it.
  if (data === undefined || data.byteLength <= TRANSFER_CHUNK_BYTES) {
    await invoke("writeFile", [path, data ?? content], signal);
    const total = data?.byteLength ?? 0;
    onProgress?.({ transferred: total, total });
    return;
  }
  const total = data.byteLength;
  const { transferId } = (await invoke("beginFileWrite", [path, total], signal)) as { transferId: string };
  let transferred = 0;
  let committed = false;
  try {
    await eachPiece(0, total, signal, async (offset) => {
      const piece = data.subarray(offset, offset + TRANSFER_CHUNK_BYTES);
      await invoke("writeFileChunk", [transferId, offset, piece], signal);
      transferred += piece.byteLength;
      onProgress?.({ transferred, total });
    });
    await invoke("commitFileWrite", [transferId], signal);
    committed = true;
  } finally {
    if (!committed) await end(invoke, transferId);
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

function toBytes(content: unknown): Uint8Array | undefined {
  if (typeof content === "string") return new TextEncoder().encode(content);
  if (content instanceof ArrayBuffer) return new Uint8Array(content);
  return content instanceof Uint8Array ? content : undefined;
}
