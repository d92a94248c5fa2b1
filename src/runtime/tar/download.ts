import { invalidArgument } from "../../api/errors.ts";
import { Mutex } from "../../base/mutex.ts";
import { type BodySource, type BodyStart, Outgoing } from "../transfers/bodies.ts";
import type { Packing } from "./pack.ts";

/** Sends a tar archive out of the VM in order, piece by piece. */
export class TarDownload extends Outgoing {
  readonly #packing: Packing;
  readonly #chunkBytes: number;
  #sent = 0;
  #rest: Uint8Array = new Uint8Array();
  /** Piece of the last HTTP body, which a client whose connection breaks asks for again. */
  #last = { offset: 0, piece: new Uint8Array() as Uint8Array };
  readonly #turns = new Mutex();

  constructor(packing: Packing, chunkBytes: number) {
    super();
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

  /** A body has at most one piece: an archive is packed once, so what is under way must be kept. An empty body is the end. */
  async from({ offset }: BodyStart): Promise<BodySource> {
    const kept = offset - this.#last.offset;
    if (kept < 0 || kept >= this.#last.piece.length) this.#last = { offset, piece: await this.read(offset) };
    let rest = this.#last.piece.subarray(offset - this.#last.offset);
    return {
      length: rest.length,
      async fill(target) {
        const part = rest.subarray(0, target.length);
        target.set(part);
        rest = rest.subarray(part.length);
        return part.length;
      },
    };
  }

  async close(): Promise<void> {
    this.turn.cut();
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
