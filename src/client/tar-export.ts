import { joined } from "../base/bytes.ts";

/** A tar archive that a VM exports: a stream of bytes. Cancelling the stream ends the export. */
export class TarExport extends ReadableStream<Uint8Array> {
  /** Reads the whole archive into memory. */
  async bytes(): Promise<Uint8Array> {
    const reader = this.getReader();
    const pieces: Uint8Array[] = [];
    let total = 0;
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      pieces.push(next.value);
      total += next.value.byteLength;
    }
    return joined(pieces, total);
  }
}
