import { invalidArgument } from "../../api/errors.ts";
import { Mutex } from "../mutex.ts";
import type { Packing } from "./pack.ts";

/** An archive that is being made; whoever has it closes it. */
export interface OpenPacking extends Packing {
  close(): Promise<void>;
}

/** A tar archive on its way out of the VM, piece by piece in their order. */
export class TarDownload {
  readonly #packing: OpenPacking;
  readonly #chunkBytes: number;
  #sent = 0;
  #rest: Uint8Array = new Uint8Array();
  readonly #turns = new Mutex();

  constructor(packing: OpenPacking, chunkBytes: number) {
    this.#packing = packing;
    this.#chunkBytes = chunkBytes;
  }

  /** The piece from an offset, which must be where the last one ended; empty at the end. */
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
    const parts = [this.#rest];
    let bytes = this.#rest.length;
    while (bytes < this.#chunkBytes) {
      const next = await this.#packing.pieces.next();
      if (next.done) break;
      parts.push(next.value);
      bytes += next.value.length;
    }
    const all = Buffer.concat(parts);
    this.#rest = all.subarray(this.#chunkBytes);
    return all.subarray(0, this.#chunkBytes);
  }
}
