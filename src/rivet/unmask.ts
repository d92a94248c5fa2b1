/** The parts of a receiver of frames in `ws` 8 that this file uses. */
export interface Receiver {
  _state: number;
  _opcode: number;
  _masked: boolean;
  _mask: Uint8Array;
  consume(bytes: number): Uint8Array;
}

/** State of a receiver that reads the content of a frame. */
const CONTENT = 4;

/** First opcode of frames that are no part of a message. */
const CONTROL = 8;

/** Frames that are not worth the words. */
const SHORT_BYTES = 64;

/** Mask with which `ws` leaves a frame as it is. */
const NO_MASK = new Uint8Array(4);

/**
 * Unmasks frames word by word. `ws` does it byte by byte without its native addon, which holds the event loop for 50 ms at
 * 30 MiB. Also copies the content of a small frame, which would keep up to 64 KiB that have arrived together with it.
 *
 * For `ws` 8, which receives the messages of RivetKit 2.2.
 */
export function unmaskQuickly(receiver: Receiver): void {
  const { consume } = receiver;
  receiver.consume = function (bytes) {
    const data = consume.call(this, bytes);
    if (this._state === CONTENT && this._masked) {
      unmask(data, this._mask);
      this._mask = NO_MASK;
    }
    const isSmall =
      this._state === CONTENT && this._opcode < CONTROL && 2 * data.length < data.buffer.byteLength;
    return isSmall ? Buffer.from(Uint8Array.from(data).buffer) : data;
  };
}

/** Undoes the mask of a frame in place. @internal exported for tests of each length and alignment */
export function unmask(data: Uint8Array, mask: Uint8Array): void {
  const bytes = (from: number, to: number) => {
    for (let at = from; at < to; at++) data[at] = (data[at] as number) ^ (mask[at & 3] as number);
  };
  if (data.length < SHORT_BYTES) {
    bytes(0, data.length);
    return;
  }
  // Words begin at multiples of four.
  const start = -data.byteOffset & 3;
  const words = new Uint32Array(data.buffer, data.byteOffset + start, (data.length - start) >> 2);
  const [word = 0] = new Uint32Array(
    Uint8Array.from(mask, (_byte, at) => mask[(start + at) & 3] as number).buffer,
  );
  bytes(0, start);
  for (let at = 0; at < words.length; at++) words[at] = (words[at] as number) ^ word;
  bytes(start + 4 * words.length, data.length);
}
