import { free } from "./bytes.ts";

const NOTHING = Buffer.alloc(0);

/** Room for the first piece. */
const FIRST_BYTES = 1024;

/** Collects the pieces of a body in one buffer, however small they are: a Buffer for each piece costs 150 to 250 bytes. */
export class BodyCollector {
  readonly #most: number;
  #bytes: Buffer = NOTHING;
  #length = 0;

  /** @param most bytes that the body may have */
  constructor(most: number) {
    this.#most = most;
  }

  /** Bytes that have arrived. */
  get length(): number {
    return this.#length;
  }

  /** Copies a piece. */
  add(piece: Uint8Array): void {
    const from = this.#length;
    this.#makeRoom(from + piece.length);
    this.#bytes.set(piece, from);
    this.#length += piece.length;
  }

  /** Returns all bytes in a memory of their own, and empties the collector. */
  take(): Buffer {
    const [held, length] = [this.#bytes, this.#length];
    this.#bytes = NOTHING;
    this.#length = 0;
    if (held.length === length) return held;
    const fitting = Buffer.allocUnsafeSlow(length);
    held.copy(fitting, 0, 0, length);
    free(held);
    return fitting;
  }

  #makeRoom(needed: number): void {
    if (needed <= this.#bytes.length) return;
    if (needed > this.#most) throw new RangeError(`The body has more than ${this.#most} bytes`);
    const doubled = Math.min(Math.max(needed, 2 * this.#bytes.length, FIRST_BYTES), this.#most);
    const room = Buffer.allocUnsafeSlow(doubled);
    this.#bytes.copy(room, 0, 0, this.#length);
    free(this.#bytes);
    this.#bytes = room;
  }
}
