import { CborCounter } from "./cbor-counter.ts";
import { JsonCounter } from "./json-counter.ts";

/** Encodings of messages, as RivetKit names them. */
export type Encoding = "json" | "cbor" | "bare";

/** Start of the WebSocket protocol that names the encoding of a connection. */
const PROTOCOL = "rivet_encoding.";

/**
 * Returns the encoding of a request's messages and of their answers, as RivetKit 2.2 reads it. A WebSocket names it as a protocol, of which
 * the last counts; a call by HTTP has a header. Connections are opened with GET, and calls are never.
 *
 * RivetKit refuses an encoding that it does not know. Here it is JSON.
 */
export function encodingOf(
  method: string | undefined,
  header: (name: string) => string | null | undefined,
): Encoding {
  const protocols = header("sec-websocket-protocol")?.split(",") ?? [];
  const protocol = protocols.map((one) => one.trim()).findLast((one) => one.startsWith(PROTOCOL));
  const named = method === "GET" ? protocol?.slice(PROTOCOL.length) : header("x-rivet-encoding");
  return named === "cbor" || named === "bare" ? named : "json";
}

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
