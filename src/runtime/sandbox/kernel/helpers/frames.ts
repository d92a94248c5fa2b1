import { BodyCollector } from "../../../../base/body-collector.ts";

/** Frames between the server and its helper programs; `speech.pl` has the other side of the format. */
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
const SHORTEST_BYTES = LENGTH_BYTES + HEAD_BYTES;
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

/** Fields of a request with NUL between them. No field can hold a NUL. */
export function encodeFields(...fields: (string | number)[]): Buffer {
  return Buffer.from(fields.join("\0"), "utf8");
}

export function encodeNumber(number: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(number);
  return body;
}

/** Returns the longest body that a frame of a kind may have now, in bytes; `undefined` refuses the frame. */
export type FrameLimit = (kind: string) => number | undefined;

/** Splits a stream into frames. */
export class FrameReader {
  readonly #limitOf: FrameLimit;
  readonly #maxBytes: number;
  /** Incomplete frame, whose buffer doubles up to the frame's length. */
  readonly #begun = new BodyCollector();

  /**
   * @param maxBytes longest frame that the helper may send
   * @param limitOf asked as soon as a frame begins, before its body is kept
   */
  constructor(maxBytes: number = MAX_FRAME_BYTES, limitOf: FrameLimit = () => maxBytes) {
    this.#maxBytes = maxBytes;
    this.#limitOf = limitOf;
  }

  /** Whether a frame has begun to arrive. */
  get isInFrame(): boolean {
    return this.#begun.length > 0;
  }

  /** @throws Error for bytes that break the format */
  *push(data: Buffer): Generator<Frame> {
    let at = 0;
    while (at < data.length) {
      const left = data.subarray(at);
      const begun = this.#begun.content;
      const whole = this.#bytesOf(begun.length === 0 ? left : begun);
      const piece = left.subarray(0, whole - begun.length);
      at += piece.length;
      if (piece.length === whole) yield frameOf(piece);
      else {
        this.#begun.add(piece, whole);
        if (this.#bytesOf(this.#begun.content) > this.#begun.length) continue;
        yield frameOf(this.#begun.take());
      }
    }
  }

  /** Returns the length of a frame that has begun, or of the shortest frame while its head is incomplete. */
  #bytesOf(begun: Buffer): number {
    if (begun.length < LENGTH_BYTES) return SHORTEST_BYTES;
    const length = begun.readUInt32BE(0);
    if (length < HEAD_BYTES || length > this.#maxBytes) {
      throw new Error(`a frame of ${length} bytes (at least ${HEAD_BYTES}, at most ${this.#maxBytes})`);
    }
    if (begun.length === LENGTH_BYTES) return SHORTEST_BYTES;
    const kind = begun.toString("latin1", 4, 5);
    const limit = this.#limitOf(kind);
    if (limit === undefined || length - HEAD_BYTES > limit) {
      throw new Error(`a frame ${JSON.stringify(kind)} of ${length} bytes, which may not come now`);
    }
    return LENGTH_BYTES + length;
  }
}

function frameOf(bytes: Buffer): Frame {
  return { kind: bytes.toString("latin1", 4, 5), number: bytes.readUInt32BE(5), body: bytes.subarray(9) };
}
