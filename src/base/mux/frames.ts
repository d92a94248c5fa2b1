/** Kinds of frames. A message of the connection is one frame: its kind, the number of its stream in 32 bits, a body. */
export const FRAME = {
  /** Opens a stream. Body: JSON that says what for. */
  open: 1,
  /** Accepts a stream, or with the number 0 the connection. */
  opened: 2,
  /** Bytes of a stream, at most MAX_DATA_BYTES and at most the sender's credit. */
  data: 3,
  /** The sender has no more bytes for the stream. */
  end: 4,
  /** Ends a stream at once, or with the number 0 the connection. Body: the error as JSON, or empty. */
  reset: 5,
  /** Allows the other side so many more bytes, in 32 bits. */
  credit: 6,
} as const;

type FrameKind = (typeof FRAME)[keyof typeof FRAME];

export interface MuxFrame {
  kind: FrameKind;
  id: number;
  body: Uint8Array;
}

const HEAD_BYTES = 5;

/** Longest body of a frame of bytes. */
export const MAX_DATA_BYTES = 64 * 1024;

/** Longest body of a frame that opens or resets a stream. */
export const MAX_TEXT_BYTES = 8 * 1024;

/** Longest message. */
export const MAX_FRAME_BYTES = HEAD_BYTES + MAX_DATA_BYTES;

/** Bytes of a stream that may be under way in one direction, unread by the program at the end. */
export const WINDOW_BYTES = 256 * 1024;

const EMPTY = new Uint8Array();

export function encodeMuxFrame(
  kind: FrameKind,
  id: number,
  body: Uint8Array = EMPTY,
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HEAD_BYTES + body.byteLength);
  frame[0] = kind;
  new DataView(frame.buffer).setUint32(1, id);
  frame.set(body, HEAD_BYTES);
  return frame;
}

export function encodeCredit(id: number, bytes: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(4);
  new DataView(body.buffer).setUint32(0, bytes);
  return encodeMuxFrame(FRAME.credit, id, body);
}

/** Reads the body of a frame of credit. */
export function creditOf({ body }: MuxFrame): number {
  return new DataView(body.buffer, body.byteOffset).getUint32(0);
}

/** @returns `undefined` for a message that is not a frame */
export function decodeMuxFrame(message: Uint8Array): MuxFrame | undefined {
  if (message.byteLength < HEAD_BYTES) return undefined;
  const kind = message[0] as FrameKind;
  const id = new DataView(message.buffer, message.byteOffset).getUint32(1);
  const body = message.subarray(HEAD_BYTES);
  return isWhole(kind, body.byteLength) ? { kind, id, body } : undefined;
}

/** Returns whether a frame of a kind may have a body of this length. */
function isWhole(kind: FrameKind, bytes: number): boolean {
  switch (kind) {
    case FRAME.open:
      return bytes > 0 && bytes <= MAX_TEXT_BYTES;
    case FRAME.data:
      return bytes > 0 && bytes <= MAX_DATA_BYTES;
    case FRAME.reset:
      return bytes <= MAX_TEXT_BYTES;
    case FRAME.credit:
      return bytes === 4;
    case FRAME.opened:
    case FRAME.end:
      return bytes === 0;
    default:
      return false;
  }
}
