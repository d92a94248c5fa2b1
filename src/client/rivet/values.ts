import { decode, encode } from "./cbor.ts";
import type { Encoding } from "./config.ts";

/** Encodes a value in CBOR. */
export const toCbor: (value: unknown) => Uint8Array = encode;

/** Decodes a value from CBOR. */
export const fromCbor: (bytes: Uint8Array) => unknown = decode;

/** Encodes a message whose parts all have their types: in CBOR, or in JSON with RivetKit's forms of bytes and big integers. */
export function encodeValue(encoding: Exclude<Encoding, "bare">, value: unknown): Uint8Array | string {
  return encoding === "cbor" ? toCbor(value) : toJson(value);
}

/** Decodes what `encodeValue` has encoded. */
export function decodeValue(encoding: Exclude<Encoding, "bare">, data: Uint8Array | string): unknown {
  if (encoding === "cbor") {
    if (typeof data === "string") throw new Error("The message is text");
    return fromCbor(data);
  }
  return fromJson(typeof data === "string" ? data : new TextDecoder().decode(data));
}

/** Mark of values that JSON does not have. An array of two that begins with it by itself gets the mark once more. */
const MARK = "$";

export function toJson(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, item: unknown) {
    const raw = this[key];
    // `toJSON` of a Buffer has run already.
    if (raw instanceof Uint8Array) return ["$Uint8Array", toBase64(raw)];
    if (typeof item === "bigint") return ["$BigInt", item.toString()];
    if (item instanceof ArrayBuffer) return ["$ArrayBuffer", toBase64(new Uint8Array(item))];
    return isMarked(item) ? [`${MARK}${item[0]}`, item[1]] : item;
  });
}

export function fromJson(text: string): unknown {
  return JSON.parse(text, (_key, item: unknown) => {
    if (!isMarked(item)) return item;
    const [kind, content] = item;
    if (kind === "$BigInt") return BigInt(content as string);
    if (kind === "$ArrayBuffer") return fromBase64(content as string).buffer;
    if (kind === "$Uint8Array") return fromBase64(content as string);
    if (kind.startsWith(`${MARK}${MARK}`)) return [kind.slice(MARK.length), content];
    throw new Error(`The message has a value of the unknown kind ${kind}`);
  });
}

function isMarked(value: unknown): value is [string, unknown] {
  return (
    Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && value[0].startsWith(MARK)
  );
}

/** Characters that one call of `String.fromCharCode` takes. */
const MAX_CODES = 8_192;

export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.byteLength; at += MAX_CODES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + MAX_CODES));
  }
  return btoa(binary);
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
