/** Encodes text as UTF-8 and returns bytes unchanged. */
export function toBytes(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? new TextEncoder().encode(data) : data;
}

/** Returns bytes as text if they are UTF-8. */
export function textOrBytes(data: Uint8Array): string | Uint8Array {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return data;
  }
}

/**
 * Joins pieces. Copies nothing if they follow each other in one buffer.
 *
 * @param bytes total length of all pieces
 */
export function joined(
  pieces: readonly Uint8Array[],
  bytes = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0),
): Uint8Array {
  const [first = new Uint8Array()] = pieces;
  if (pieces.length <= 1) return first;
  const { buffer, byteOffset } = first;
  let offset = 0;
  const follows = (piece: Uint8Array) => {
    const isNext = piece.buffer === buffer && piece.byteOffset === byteOffset + offset;
    offset += piece.byteLength;
    return isNext;
  };
  if (pieces.every(follows)) return new Uint8Array(buffer, byteOffset, bytes);
  const whole = new Uint8Array(bytes);
  offset = 0;
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
  if (byteLength > 0 && buffer instanceof ArrayBuffer && buffer.byteLength === byteLength)
    buffer.transfer?.(0);
}
