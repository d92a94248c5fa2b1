import { MAX_CALL_DEPTH, MAX_CALL_KEYS, MAX_CALL_VALUES } from "./limits.ts";

/** Upper bound of a number, a date or another value of fixed size. */
const SCALAR_BYTES = 12;

/** Bytes of the tag before a typed array (RFC 8746). */
const TAG_BYTES = 3;

/** Largest ratio of `wireSize` to JSON: a digit with its comma counts as a scalar. */
const MAX_JSON_GROWTH = SCALAR_BYTES;

/** Returns an upper bound for the head of a string, byte string or collection of this length. */
const headBytes = (length: number): number => (length < 0x10000 ? 3 : 5);

/** Node's Buffer, which counts a long text in a tenth of the time; `undefined` in a browser. */
const { Buffer: native } = globalThis as { Buffer?: { byteLength(text: string): number } };

/** Returns the number of bytes of a string in UTF-8. */
export function utf8Length(text: string): number {
  if (native !== undefined) return native.byteLength(text);
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit <= 0xdbff && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00) {
      // A surrogate pair is two units and four bytes.
      bytes += 2;
      index += 1;
    } else bytes += 2;
  }
  return bytes;
}

/** Whether a string has at most this many bytes in UTF-8. Short strings are not scanned. */
export function fitsUtf8(text: string, maximum: number): boolean {
  if (text.length * 3 <= maximum) return true;
  return text.length <= maximum && utf8Length(text) <= maximum;
}

/** Whether a JSON value has at most this many bytes as text. A value that is far too large is not serialized. */
export function fitsJson(value: unknown, maximum: number): boolean {
  return wireSize(value) <= MAX_JSON_GROWTH * maximum && fitsUtf8(JSON.stringify(value) ?? "", maximum);
}

/**
 * Returns a close upper bound of a value's bytes on the wire as CBOR, without encoding it. Both sides check it before they
 * send: RivetKit's WebSocket does not refuse a message above MAX_MESSAGE_BYTES, and its call never ends.
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

/** Whether `wireSize` of a value is at most `maximum`. Texts that are far too long are not measured. */
export function fitsWire(value: unknown, maximum: number): boolean {
  return leastSize(value) <= maximum && wireSize(value) <= maximum;
}

/** Returns a lower bound of a value's bytes on the wire, without a look at its texts. A character takes at least one. */
export function leastSize(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 1;
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) return value.byteLength;
  let bytes = 0;
  for (const item of Array.isArray(value) ? value : Object.values(value)) bytes += leastSize(item);
  return bytes;
}

/**
 * Whether a value has at most MAX_CALL_VALUES entries and MAX_CALL_KEYS keys, at every depth, and at most MAX_CALL_DEPTH levels.
 * Stops at the first above.
 */
export function isDecodable(value: unknown): boolean {
  let entries = 0;
  let keys = 0;
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_CALL_DEPTH) return false;
    const inner: unknown[] = [];
    const take = (item: unknown) => {
      if (typeof item === "object" && item !== null && !ArrayBuffer.isView(item)) inner.push(item);
    };
    for (const holder of level) {
      if (Array.isArray(holder)) {
        entries += holder.length;
        if (entries > MAX_CALL_VALUES) return false;
        holder.forEach(take);
        continue;
      }
      for (const key in holder as object) {
        entries += 1;
        keys += 1;
        if (entries > MAX_CALL_VALUES || keys > MAX_CALL_KEYS) return false;
        take((holder as Record<string, unknown>)[key]);
      }
    }
    level = inner;
  }
  return true;
}

function stringSize(text: string): number {
  const bytes = utf8Length(text);
  return headBytes(bytes) + bytes;
}
