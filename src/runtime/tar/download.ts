import { invalidArgument } from "../../api/errors.ts";
import { Mutex } from "../../base/mutex.ts";
import type { Packing } from "./pack.ts";

/** Sends a tar archive out of the VM in order, piece by piece. */
export class TarDownload {
  readonly #packing: Packing;
  readonly #chunkBytes: number;
  #sent = 0;
  #rest: Uint8Array = new Uint8Array();
  readonly #turns = new Mutex();

  constructor(packing: Packing, chunkBytes: number) {
    this.#packing = packing;
    this.#chunkBytes = chunkBytes;
  }

  /** Reads the piece at an offset, which must be the end of the last piece. The piece is empty at the end. */
  read(offset: number): Promise<Uint8Array> {
    return this.#turns.run(async () => {
      if (offset !== this.#sent) throw invalidArgument("offset", String(this.#sent), offset);
      const chunk = await this.#next();
      this.#sent += chunk.length;
      return chunk;
    });
  }

  async close(): Promise<void> {
    await this.#packing.close();
  }

  async #next(): Promise<Uint8Array> {
    // Pages that stay empty take no memory. A list of parts and their copy would take twice as much.
    const chunk = Buffer.allocUnsafeSlow(this.#chunkBytes);
    let bytes = this.#fill(chunk);
    while (bytes < chunk.length) {
      const next = await this.#packing.pieces.next();
      if (next.done) break;
      this.#rest = next.value;
      bytes += this.#fill(chunk.subarray(bytes));
    }
    return chunk.subarray(0, bytes);
  }

  /** Moves bytes of the rest. @returns their number */
  #fill(room: Uint8Array): number {
    const part = this.#rest.subarray(0, room.length);
    room.set(part);
    this.#rest = this.#rest.subarray(part.length);
    return part.length;
  }
}
