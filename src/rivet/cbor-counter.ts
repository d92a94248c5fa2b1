import { MAX_CALL_KEYS, MAX_CALL_VALUES } from "../api/limits.ts";
import { MAX_MESSAGE_DEPTH, MAX_OUTSIDE_BYTES } from "./json-counter.ts";

/** A field in front of the CBOR in a message of RivetKit's BARE protocol. */
type BareField = "byte" | "number" | "text";

const BARE_HEADS: Readonly<Record<"connection" | "request", readonly BareField[]>> = {
  // Version, kind of message, id, name of the action, length of the arguments.
  connection: ["byte", "byte", "number", "number", "text", "number"],
  request: ["byte", "byte", "number"],
};

const MAJOR_BYTES = 2;
const MAJOR_TEXT = 3;
const MAJOR_ARRAY = 4;
const MAJOR_MAP = 5;
const MAJOR_TAG = 6;
const BREAK = 0xff;

/** Tags of integers that are written as bytes (RFC 8949). The decoder's time for them is quadratic in their length. */
const INTEGER_TAGS = [2, 3];

/** Whether RivetKit's encoder writes a tag: a date, an integer, a typed array, a set or a map. Other tags refer to earlier values. */
const isKnownTag = (tag: number): boolean =>
  tag <= 3 || (tag >= 64 && tag <= 87) || tag === 258 || tag === 259;

const MAX_TAGGED_BYTES = 32;
const INTEGER_VALUES = 64;

/** An open array or map, and the number of items that it lacks. */
interface Open {
  isArray: boolean;
  missing: number;
}

/** Looks at CBOR as RivetKit 2.2 decodes it. See `ValueCounter`. */
export class CborCounter {
  readonly #head: BareField[];
  readonly #open: Open[] = [];
  #arrays = 0;
  #items = 0;
  #keys = 0;
  /** Bytes of the CBOR that have not come. */
  #left = Number.POSITIVE_INFINITY;
  /** Bytes to skip. */
  #skip = 0;
  /** A number that is being read: bytes of it that are missing, and its value. */
  #missing = 0;
  #number = 0;
  #scale = 1;
  #major = 0;
  /** The item before was a tag. */
  #isTagged = false;
  /** The item before was the tag of an integer. */
  #isInteger = false;
  #isRefused = false;

  /** @param bare the message of RivetKit's BARE protocol that has the CBOR. @default CBOR alone */
  constructor(bare?: "connection" | "request") {
    this.#head = bare === undefined ? [] : [...BARE_HEADS[bare]];
  }

  add(piece: Uint8Array): boolean {
    for (let at = 0; at < piece.length && this.#left > 0; ) {
      if (this.#skip > 0) {
        const count = Math.min(this.#skip, piece.length - at);
        this.#skip -= count;
        if (this.#head.length === 0) this.#left -= count;
        at += count;
        continue;
      }
      const byte = piece[at++] as number;
      if (this.#head.length > 0) {
        this.#readHead(byte);
        continue;
      }
      this.#left -= 1;
      if (this.#missing > 0) this.#readLength(byte);
      else this.#readItem(byte);
      if (this.#items > MAX_CALL_VALUES + MAX_CALL_KEYS || this.#keys > MAX_CALL_KEYS) this.#isRefused = true;
      if (this.#isRefused) return false;
    }
    return true;
  }

  /** Numbers have seven bits in a byte, and the highest bit before further bytes. */
  #readHead(byte: number): void {
    if (this.#head[0] === "byte") {
      this.#head.shift();
      return;
    }
    this.#number += (byte & 0x7f) * this.#scale;
    this.#scale *= 128;
    if (byte >= 0x80) return;
    if (this.#head.shift() === "text") this.#skip = this.#number;
    // The last number is the length of the CBOR.
    else if (this.#head.length === 0) this.#left = this.#number;
    this.#number = 0;
    this.#scale = 1;
  }

  #readItem(byte: number): void {
    const info = byte & 31;
    this.#items += 1;
    this.#major = byte >> 5;
    if (byte === BREAK) this.#close();
    else if (info < 24) this.#take(info);
    else if (info < 28) this.#missing = 1 << (info - 24);
    else this.#take(Number.POSITIVE_INFINITY);
  }

  #readLength(byte: number): void {
    this.#number = this.#number * 256 + byte;
    this.#missing -= 1;
    if (this.#missing > 0) return;
    const length = this.#number;
    this.#number = 0;
    this.#take(length);
  }

  /** @param length or number of items, or value of the item; infinity for an item that ends with a break */
  #take(length: number): void {
    const major = this.#major;
    if (this.#isInteger && (major !== MAJOR_BYTES || length > MAX_TAGGED_BYTES)) this.#isRefused = true;
    this.#isInteger = major === MAJOR_TAG && INTEGER_TAGS.includes(length);
    if (major === MAJOR_TAG && this.#isTagged) this.#isRefused = true;
    this.#isTagged = major === MAJOR_TAG;
    if (major === MAJOR_TAG) {
      if (this.#isInteger) this.#items += INTEGER_VALUES;
      if (!isKnownTag(length)) this.#isRefused = true;
      return;
    }
    if (major === MAJOR_ARRAY) this.#enter(true, length);
    else if (major === MAJOR_MAP) this.#enter(false, 2 * length);
    else if ((major === MAJOR_BYTES || major === MAJOR_TEXT) && length === Number.POSITIVE_INFINITY)
      this.#enter(false, length);
    else {
      if (major === MAJOR_BYTES || major === MAJOR_TEXT) this.#readContent(length);
      this.#end();
    }
  }

  #readContent(length: number): void {
    this.#skip = length;
    if (this.#arrays === 0 && length > MAX_OUTSIDE_BYTES) this.#isRefused = true;
  }

  #enter(isArray: boolean, items: number): void {
    // A length without items would still be allocated.
    if (items !== Number.POSITIVE_INFINITY && items > 2 * MAX_CALL_VALUES) this.#isRefused = true;
    else if (isArray && items !== Number.POSITIVE_INFINITY && items > MAX_CALL_VALUES) this.#isRefused = true;
    else if (!isArray && items !== Number.POSITIVE_INFINITY) this.#keys += items / 2;
    if (items === 0) {
      this.#end();
      return;
    }
    this.#open.push({ isArray, missing: items });
    if (this.#open.length > MAX_MESSAGE_DEPTH) this.#isRefused = true;
    if (isArray) this.#arrays += 1;
  }

  /** An item has ended, and with it each array and map whose last item it is. */
  #end(): void {
    const top = this.#open.at(-1);
    if (top === undefined) return;
    top.missing -= 1;
    if (top.missing === 0) this.#close();
  }

  #close(): void {
    const closed = this.#open.pop();
    if (closed === undefined) return;
    if (closed.isArray) this.#arrays -= 1;
    this.#end();
  }
}
