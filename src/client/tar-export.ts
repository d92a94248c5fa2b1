import { joined } from "./pieces.ts";

/** A tar archive on its way out of a VM. Read it as the stream that it is, or whole; cancel it to give it up. */
export class TarExport extends ReadableStream<Uint8Array> {
  /** The whole archive, in memory. */
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
