import { TRANSFER_CHUNK_BYTES, TRANSFER_IDLE_MS } from "../api/limits.ts";
import type { ArchiveImport } from "../api/methods/snapshot-types.ts";
import type { TarReadTransfer } from "../api/methods/transport.ts";
import { type PieceSource, piecesOf } from "./pieces.ts";
import { TarExport } from "./tar-export.ts";
import { end, type Invoke } from "./transfer.ts";
import type { TarTransferOptions } from "./types.ts";

/** Milliseconds between messages of an import whose source is slow. The server drops a transfer without messages. */
const KEEP_MS = TRANSFER_IDLE_MS / 4;

/** Opens an export. @param args arguments of `beginTarRead` */
export async function exportTar(
  invoke: Invoke,
  args: unknown[],
  { onProgress, signal }: TarTransferOptions = {},
): Promise<TarExport> {
  const { transferId, estimate } = (await invoke("beginTarRead", args, signal)) as TarReadTransfer;
  let transferred = 0;
  return new TarExport(
    {
      async pull(controller) {
        try {
          const piece = (await invoke("readTarChunk", [transferId, transferred], signal)) as Uint8Array;
          transferred += piece.byteLength;
          const isEnd = piece.byteLength === 0;
          onProgress?.({ transferred, total: isEnd ? transferred : Math.max(estimate, transferred) });
          if (!isEnd) {
            controller.enqueue(piece);
            return;
          }
          await end(invoke, transferId);
          controller.close();
        } catch (error) {
          await end(invoke, transferId);
          throw error;
        }
      },
      cancel: () => end(invoke, transferId),
    },
    // The client fetches nothing before the first read.
    { highWaterMark: 0 },
  );
}

/** Imports the whole archive. If the source fails, the VM's files stay unchanged. */
export async function importTar(
  invoke: Invoke,
  data: PieceSource,
  path: string,
  { onProgress, signal }: TarTransferOptions = {},
): Promise<ArchiveImport> {
  const { pieces, total } = piecesOf(data, { maxBytes: TRANSFER_CHUNK_BYTES, patienceMs: KEEP_MS, signal });
  const { transferId } = (await invoke("beginTarWrite", [path], signal)) as { transferId: string };
  let transferred = 0;
  try {
    for await (const piece of pieces) {
      await invoke("writeTarChunk", [transferId, transferred, piece], signal);
      transferred += piece.byteLength;
      if (piece.byteLength > 0) onProgress?.({ transferred, total });
    }
    return (await invoke("commitTarWrite", [transferId], signal)) as ArchiveImport;
  } catch (error) {
    await end(invoke, transferId);
    throw error;
  }
}
