import { invalidArgument } from "../../api/errors.ts";
import type { Packing } from "./pack.ts";

/** A tar archive on its way out of the VM, piece by piece in their order. */
export class TarDownload {
  readonly #pieces: AsyncGenerator<Uint8Array>;
  readonly #chunkBytes: number;
  #sent = 0;
  #rest: Uint8Array = new Uint8Array();
  #last: Promise<unknown> = Promise.resolve();

  constructor({ pieces }: Packing, chunkBytes: number) {
    this.#pieces = pieces;
    this.#chunkBytes = chunkBytes;
  }

  /** The piece from an offset, which must be where the last one ended; empty at the end. */
  read(offset: number): Promise<Uint8Array> {
    const result = this.#last.then(async () => {
      if (offset !== this.#sent) throw invalidArgument("offset", String(this.#sent), offset);
      const chunk = await this.#next();
      this.#sent += chunk.length;
      return chunk;
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    await this.#pieces.return(undefined);
  }

  async #next(): Promise<Uint8Array> {
    const parts = [this.#rest];
    let bytes = this.#rest.length;
    while (bytes < this.#chunkBytes) {
      const next = await this.#pieces.next();
      if (next.done) break;
      parts.push(next.value);
      bytes += next.value.length;
    }
    const all = Buffer.concat(parts);
    this.#rest = all.subarray(this.#chunkBytes);
    return all.subarray(0, this.#chunkBytes);
  }
}
