/** Frames between the server and its helper programs; `preamble.pl` has the other side of the format. */
export interface Frame {
  /** One character. */
  kind: string;
  number: number;
  body: Buffer;
}

/** Longest frame that a helper takes, in bytes. */
export const MAX_FRAME_BYTES = 32 * 1024 * 1024;

const LENGTH_BYTES = 4;
const HEAD_BYTES = 5;
const NOTHING = Buffer.alloc(0);

/** @param number an unsigned integer of 32 bits */
export function encodeFrame(kind: string, number: number, body: Uint8Array = NOTHING): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + HEAD_BYTES + body.length);
  frame.writeUInt32BE(HEAD_BYTES + body.length, 0);
  frame.write(kind, 4, "latin1");
  frame.writeUInt32BE(number, 5);
  frame.set(body, 9);
  return frame;
}

/** Splits a stream into frames. */
export class FrameReader {
  readonly #maxBytes: number;
  #rest: Buffer = NOTHING;

  /** @param maxBytes longest frame that the helper may send */
  constructor(maxBytes: number = MAX_FRAME_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** @throws Error for bytes that break the format */
  *push(data: Buffer): Generator<Frame> {
    this.#rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    while (this.#rest.length >= LENGTH_BYTES) {
      const length = this.#rest.readUInt32BE(0);
      if (length < HEAD_BYTES || length > this.#maxBytes) {
        throw new Error(`a frame of ${length} bytes (at least ${HEAD_BYTES}, at most ${this.#maxBytes})`);
      }
      const end = LENGTH_BYTES + length;
      if (this.#rest.length < end) return;
      const frame = this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end);
      yield { kind: frame.toString("latin1", 4, 5), number: frame.readUInt32BE(5), body: frame.subarray(9) };
    }
  }
}
