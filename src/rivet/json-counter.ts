import { MAX_CALL_DEPTH, MAX_CALL_KEYS, MAX_CALL_VALUES } from "../api/limits.ts";

/**
 * Longest text or bytes outside all arrays. RivetKit spreads the arguments of a call, which are an array, and would spread the
 * parts of a text or of bytes in their place.
 */
export const MAX_OUTSIDE_BYTES = 64 * 1024;

/** Depth of a message: levels of the arguments, and of the message around them. */
export const MAX_MESSAGE_DEPTH = MAX_CALL_DEPTH + 10;

/** JSON outside strings, such as blanks, that a message may have, in bytes. Reading more would hold the event loop. */
const MAX_JSON_SYNTAX_BYTES = 4 * 1024 * 1024;

/** Text of a large integer. Reading it takes longer than its length. */
const MAX_INTEGER_BYTES = 1024;

/** First bytes of a string that are looked at. */
const START_BYTES = 14;

const COMMA = 44;
const QUOTE = 34;
const BACKSLASH = 92;
const COLON = 58;
const OPEN_ARRAY = 91;
const CLOSE_ARRAY = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/**
 * Whether a string, as it is written, may make RivetKit read the next one as an integer. RivetKit writes `["$BigInt", "1"]`, and
 * two dollars in front of a text that starts with one.
 */
function isIntegerMark(start: string): boolean {
  if (start === "$Uint8Array" || start === "$ArrayBuffer") return false;
  return start.startsWith("\\u0024") || (start.startsWith("$") && !start.startsWith("$$"));
}

/** Looks at JSON as RivetKit 2.2 decodes it. See `ValueCounter`. */
export class JsonCounter {
  readonly #isPlain: boolean;
  #values = 0;
  #keys = 0;
  #syntax = 0;
  #arrays = 0;
  #objects = 0;
  #isString = false;
  /** Length and first characters of the string that is being read. */
  #length = 0;
  #start = "";
  /** The string before may make this one an integer. */
  #isInteger = false;
  /** The piece before ended with a backslash that escapes the next byte. */
  #isEscaped = false;

  /** @param isPlain `true` for JSON that RivetKit does not decode, whose strings have no meaning of its own */
  constructor(isPlain = false) {
    this.#isPlain = isPlain;
  }

  add(piece: Uint8Array): boolean {
    let at = 0;
    while (at >= 0 && at < piece.length)
      at = this.#isString ? this.#skipString(piece, at) : this.#skipSyntax(piece, at);
    return at >= 0;
  }

  /** @returns the place after the string, or -1 for a string that may not be there */
  #skipString(piece: Uint8Array, from: number): number {
    let at = from;
    if (this.#isEscaped) {
      this.#isEscaped = false;
      at += 1;
    }
    let end = piece.indexOf(QUOTE, at);
    if (end < 0) end = piece.length;
    let slashes = end;
    while (slashes > at && piece[slashes - 1] === BACKSLASH) slashes -= 1;
    const isEscaped = (end - slashes) % 2 === 1;
    if (this.#start.length < START_BYTES)
      this.#start += Buffer.from(piece.subarray(from, Math.min(end, from + START_BYTES))).toString("latin1");
    this.#length += end - from;
    if (!this.#isPlain && this.#arrays === 0 && this.#length > MAX_OUTSIDE_BYTES) return -1;
    if (!this.#isPlain && this.#isInteger && this.#length > MAX_INTEGER_BYTES) return -1;
    if (end === piece.length) this.#isEscaped = isEscaped;
    else if (!isEscaped) {
      this.#isString = false;
      this.#isInteger = isIntegerMark(this.#start);
    }
    return end + 1;
  }

  /** @returns the place of the next string's content, or -1 for too many values */
  #skipSyntax(piece: Uint8Array, from: number): number {
    let at = from;
    while (at < piece.length && !this.#isString) {
      const byte = piece[at++];
      if (byte === QUOTE) this.#isString = true;
      else if (byte === COMMA || byte === OPEN_OBJECT || byte === OPEN_ARRAY) this.#values += 1;
      else if (byte === COLON) this.#keys += 1;
      if (byte === OPEN_ARRAY) this.#arrays += 1;
      else if (byte === CLOSE_ARRAY) this.#arrays -= 1;
      else if (byte === OPEN_OBJECT) this.#objects += 1;
      else if (byte === CLOSE_OBJECT) this.#objects -= 1;
      if (this.#values > MAX_CALL_VALUES || this.#keys > MAX_CALL_KEYS) return -1;
      if (this.#arrays + this.#objects > MAX_MESSAGE_DEPTH) return -1;
    }
    this.#length = 0;
    this.#start = "";
    this.#syntax += at - from;
    return this.#syntax > MAX_JSON_SYNTAX_BYTES ? -1 : at;
  }
}
