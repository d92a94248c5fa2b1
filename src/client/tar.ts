import { TRANSFER_CHUNK_BYTES } from "../api/limits.ts";
import type { ArchiveImport } from "../api/methods/snapshot-types.ts";
import type { TarReadTransfer, TransferTicket } from "../api/methods/transport.ts";
import { readBodies, type Ways, writeBody } from "./bodies.ts";
import { type PieceSource, piecesOf } from "./pieces.ts";
import { Steps } from "./steps.ts";
import { TarExport } from "./tar-export.ts";
import { end, KEEP_MS } from "./transfer.ts";
import type { TarTransferOptions } from "./transfer-types.ts";

/** Opens an export. @param args arguments of `beginTarRead` */
export async function exportTar(
  ways: Ways,
  args: unknown[],
  { onProgress, signal }: TarTransferOptions = {},
): Promise<TarExport> {
  const { invoke } = ways;
  const begun = (await invoke("beginTarRead", args, signal)) as TarReadTransfer;
  const { transferId, estimate, direct } = begun;
  const pieces = direct
    ? readBodies(ways, { transferId, signal }, 0)
    : piecesByCall(ways, transferId, signal);
  const steps = new Steps((moved) => onProgress?.({ transferred: moved, total: Math.max(estimate, moved) }));
  let transferred = 0;
  return new TarExport(
    {
      async pull(controller) {
        try {
          const next = await pieces.next();
          transferred += next.value?.byteLength ?? 0;
          if (!next.done) {
            steps.reach(transferred);
            controller.enqueue(next.value);
            return;
          }
          onProgress?.({ transferred, total: transferred });
          await end(invoke, transferId);
          controller.close();
        } catch (error) {
          await end(invoke, transferId);
          throw error;
        }
      },
      async cancel() {
        await end(invoke, transferId);
        await pieces.return();
      },
    },
    // The client fetches nothing before the first read.
    { highWaterMark: 0 },
  );
}

async function* piecesByCall(
  { invoke }: Ways,
  transferId: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  for (let offset = 0; ; ) {
    const piece = (await invoke("readTarChunk", [transferId, offset], signal)) as Uint8Array;
    if (piece.byteLength === 0) return;
    offset += piece.byteLength;
    yield piece;
  }
}

/** Imports the whole archive. If the source fails, the VM's files stay unchanged. */
export async function importTar(
  ways: Ways,
  data: PieceSource,
  path: string,
  { onProgress, signal }: TarTransferOptions = {},
): Promise<ArchiveImport> {
  const { invoke } = ways;
  const { pieces, total } = piecesOf(data, { maxBytes: TRANSFER_CHUNK_BYTES, patienceMs: KEEP_MS, signal });
  const { transferId, direct } = (await invoke("beginTarWrite", [path], signal)) as TransferTicket;
  let transferred = 0;
  try {
    for await (const piece of pieces) {
      await (direct && piece.byteLength > 0
        ? writeBody(ways, { transferId, signal }, transferred, piece)
        : invoke("writeTarChunk", [transferId, transferred, piece], signal));
      transferred += piece.byteLength;
      if (piece.byteLength > 0) onProgress?.({ transferred, total });
    }
    return (await invoke("commitTarWrite", [transferId], signal)) as ArchiveImport;
  } catch (error) {
    await end(invoke, transferId);
    throw error;
  }
}
