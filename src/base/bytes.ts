/** Encodes text as UTF-8 and returns bytes unchanged. */
export function toBytes(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? new TextEncoder().encode(data) : data;
}

/**
 * Joins pieces. Returns a single piece without a copy.
 *
 * @param bytes total length of all pieces
 */
export function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.byteLength;
  }
  return whole;
}

/**
 * Frees the memory of bytes that nobody reads any more, unless they share it with others. The garbage collector counts the memory of
 * 100 MB of pieces, and stops the program several times to look for more of it.
 */
export function free({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer?.(0);
}
