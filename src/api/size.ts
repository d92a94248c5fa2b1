/** Upper bound of a CBOR head: a type byte and an eight-byte length, or a whole number. */
const HEAD_BYTES = 9;

/** A typed array's tag (RFC 8746) before its bytes. */
const TAG_BYTES = 3;

/** Bytes of a string in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit <= 0xdbff && isLowSurrogate(text.charCodeAt(index + 1))) {
      // A pair is four bytes for two units.
      bytes += 2;
      index += 1;
    } else bytes += 2;
  }
  return bytes;
}

/** Whether a string has at most this many bytes in UTF-8; cheap for the common case. */
export function fitsUtf8(text: string, maximum: number): boolean {
  if (text.length * 3 <= maximum) return true;
  return text.length <= maximum && utf8Length(text) <= maximum;
}

/**
 * An upper bound of what a value takes on the wire, in bytes, without encoding it. A message above
 * MAX_MESSAGE_BYTES is not refused by RivetKit's WebSocket but hangs its call, so that both sides ask first.
 */
export function wireSize(value: unknown): number {
  if (typeof value === "string") {
    // Exact counting is only worth it where the bound alone would matter.
    return HEAD_BYTES + (value.length < 4096 ? value.length * 3 : utf8Length(value));
  }
  if (typeof value !== "object" || value === null) return HEAD_BYTES;
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) {
    return HEAD_BYTES + TAG_BYTES + value.byteLength;
  }
  let bytes = HEAD_BYTES;
  if (Array.isArray(value)) {
    for (const item of value) bytes += wireSize(item);
    return bytes;
  }
  for (const [key, item] of Object.entries(value)) bytes += HEAD_BYTES + key.length * 3 + wireSize(item);
  return bytes;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
