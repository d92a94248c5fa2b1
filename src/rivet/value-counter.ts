import { CborCounter } from "./cbor-counter.ts";
import { JsonCounter } from "./json-counter.ts";

/** Encodings of messages, as RivetKit names them. */
export type Encoding = "json" | "cbor" | "bare";

/**
 * Looks for values of a message, which arrives in pieces, whose decoding would hold the event loop. Decodes nothing.
 *
 * For RivetKit 2.2, which decodes a message of any form at once.
 */
export interface ValueCounter {
  /** @returns `false` if decoding the message would hold the event loop */
  add(piece: Uint8Array): boolean;
}

/**
 * @param within the message that carries the values: a call over a connection, or the body of an HTTP request
 */
export function valueCounter(encoding: Encoding, within: "connection" | "request"): ValueCounter {
  if (encoding === "json") return new JsonCounter();
  return new CborCounter(encoding === "cbor" ? undefined : within);
}
