/** Upper bound of a number, a date or anything else of fixed size. */
const SCALAR_BYTES = 12;

/** A typed array's tag (RFC 8746) before its bytes. */
const TAG_BYTES = 3;

/** A digit and a comma of JSON count as a scalar. */
const MAX_JSON_GROWTH = SCALAR_BYTES;

/** Upper bound of the head of a string, of bytes or of a collection, by its length. */
const headBytes = (length: number): number => (length < 0x10000 ? 3 : 5);

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

/** Whether a value has at most this many bytes as JSON; it is JSON already, and not written out where it is far too large. */
export function fitsJson(value: unknown, maximum: number): boolean {
  return wireSize(value) <= MAX_JSON_GROWTH * maximum && fitsUtf8(JSON.stringify(value) ?? "", maximum);
}

/**
 * A close upper bound of what a value takes on the wire as CBOR, in bytes, without encoding it. A message above
 * MAX_MESSAGE_BYTES is not refused by RivetKit's WebSocket but hangs its call, so that both sides ask first.
 */
export function wireSize(value: unknown): number {
  if (typeof value === "string") return stringSize(value);
  if (typeof value !== "object" || value === null) return SCALAR_BYTES;
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) {
    return TAG_BYTES + headBytes(value.byteLength) + value.byteLength;
  }
  if (Array.isArray(value)) {
    let bytes = headBytes(value.length);
    for (const item of value) bytes += wireSize(item);
    return bytes;
  }
  const entries = Object.entries(value);
  let bytes = Math.max(SCALAR_BYTES, headBytes(entries.length));
  for (const [key, item] of entries) bytes += stringSize(key) + wireSize(item);
  return bytes;
}

function stringSize(text: string): number {
  const bytes = utf8Length(text);
  return headBytes(bytes) + bytes;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
