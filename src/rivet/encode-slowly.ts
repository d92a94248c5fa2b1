import { leastSize, utf8Length } from "../api/size.ts";
import { ByteCollector } from "../base/byte-collector.ts";
import { pause } from "../base/pace.ts";
import { toCbor, toJson } from "../client/rivet/values.ts";
import type { Encoding } from "./value-counter.ts";

/** Size of values that are encoded at once, and of the parts of larger ones: less than a millisecond. */
const SLICE = 24 * 1024;

const TEXT = 3;
const LIST = 4;
const RECORD = 5;
const BYTES = 2;

/** A part of an encoded value, or the parts of a long text or of long bytes, which are made one by one. */
type Piece = Part | Iterable<Part>;
type Part = Uint8Array | string;

/**
 * Encodes a value as RivetKit 2.2 does, in blocks. Yields to the event loop in between.
 *
 * @param isLive the value may change meanwhile: its lists and records are encoded in one turn, and its long texts and bytes later
 */
export async function encodeSlowly(value: unknown, encoding: Encoding, isLive = false): Promise<Buffer[]> {
  const blocks = new ByteCollector();
  const pieces = encoding === "json" ? json(value) : cbor(value);
  for (const piece of isLive ? [...pieces] : pieces) {
    for (const part of isPart(piece) ? [piece] : piece) {
      blocks.push(typeof part === "string" ? Buffer.from(part) : viewOf(part));
      const turn = pause();
      if (turn !== null) await turn;
    }
  }
  return blocks.takeBlocks();
}

const isPart = (piece: Piece): piece is Part => typeof piece === "string" || piece instanceof Uint8Array;

function* cbor(value: unknown): Generator<Piece> {
  if (leastSize(value) <= SLICE) yield toCbor(value);
  else if (typeof value === "string") {
    yield cborHead(TEXT, utf8Length(value));
    yield partsOf(value);
  } else if (value instanceof Uint8Array) {
    // A Buffer has no tag.
    yield toCbor(value.subarray(0, 0)).subarray(0, -1);
    yield cborHead(BYTES, value.length);
    yield piecesOf(value);
  } else if (Array.isArray(value)) {
    yield cborHead(LIST, value.length);
    yield* cborItems(value);
  } else if (isRecord(value)) {
    const entries = Object.entries(value);
    yield cborHead(RECORD, entries.length);
    // A record's content is that of a list of its keys and values.
    yield* cborItems(entries.flat(1));
  } else yield toCbor(value);
}

function* cborItems(items: readonly unknown[]): Generator<Piece> {
  for (const { small, large } of groups(items)) {
    if (small.length > 0) yield toCbor(small).subarray(cborHead(LIST, small.length).length);
    if (large !== undefined) yield* cbor(large);
  }
}

function* json(value: unknown): Generator<Piece> {
  if (leastSize(value) <= SLICE) yield toJson(value) ?? "null";
  else if (typeof value === "string") {
    yield '"';
    yield quotedParts(value);
    yield '"';
  } else if (value instanceof Uint8Array) {
    yield '["$Uint8Array","';
    yield base64Parts(value);
    yield '"]';
  } else if (Array.isArray(value)) {
    const [mark] = value;
    const isMarked = value.length === 2 && typeof mark === "string" && mark.startsWith("$");
    let separator = "[";
    for (const { small, large } of groups(isMarked ? [`$${mark}`, value[1]] : value)) {
      if (small.length > 0) yield separator + small.map((item) => toJson(item) ?? "null").join(",");
      if (small.length > 0) separator = ",";
      if (large === undefined) continue;
      yield separator;
      yield* json(large);
      separator = ",";
    }
    yield "]";
  } else if (isRecord(value)) {
    let separator = "";
    yield "{";
    for (const { small, large } of groups(Object.entries(value))) {
      const texts = small.flatMap(([key, item]) => {
        const text: string | undefined = toJson(item);
        return text === undefined ? [] : [`${JSON.stringify(key)}:${text}`];
      });
      if (texts.length > 0) yield separator + texts.join(",");
      if (texts.length > 0) separator = ",";
      if (large === undefined) continue;
      const [key, item] = large;
      yield `${separator}${JSON.stringify(key)}:`;
      yield* json(item);
      separator = ",";
    }
    yield "}";
  } else yield toJson(value);
}

/** Items that are encoded at once, and the item after them, which is not. */
interface Group<Item> {
  small: Item[];
  large?: Item;
}

function* groups<Item>(items: readonly Item[]): Generator<Group<Item>> {
  let small: Item[] = [];
  let size = 0;
  for (const item of items) {
    const bytes = leastSize(item) + 1;
    size += bytes;
    if (bytes <= SLICE) small.push(item);
    if (size <= SLICE) continue;
    yield bytes <= SLICE ? { small } : { small, large: item };
    small = [];
    size = 0;
  }
  yield { small };
}

/** Yields the parts of a text. No part ends within a surrogate pair. */
function* partsOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const last = text.charCodeAt(from + SLICE - 1);
    const to = last >= 0xd800 && last <= 0xdbff ? from + SLICE - 1 : from + SLICE;
    yield text.slice(from, to);
    from = to;
  }
}

function* quotedParts(text: string): Generator<string> {
  for (const part of partsOf(text)) yield JSON.stringify(part).slice(1, -1);
}

/** Yields base64, which has four characters for three bytes. */
function* base64Parts(bytes: Uint8Array): Generator<string> {
  for (const piece of piecesOf(bytes)) yield piece.toString("base64");
}

function* piecesOf(bytes: Uint8Array): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += SLICE) yield viewOf(bytes.subarray(from, from + SLICE));
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/** Whether a value is a plain object, which has no encoding of its own. */
function isRecord(value: unknown): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && !("toJSON" in (value as object));
}

/** Returns the head of an item of CBOR (RFC 8949), as `cbor-x` writes it. */
function cborHead(major: number, length: number): Buffer {
  const kind = major << 5;
  if (length < 24) return Buffer.of(kind + length);
  if (length < 0x100) return Buffer.of(kind + 24, length);
  if (length < 0x10000) return Buffer.of(kind + 25, length >> 8, length & 0xff);
  const head = Buffer.alloc(5);
  head[0] = kind + 26;
  head.writeUInt32BE(length, 1);
  return head;
}
