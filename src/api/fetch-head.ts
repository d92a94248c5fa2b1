/*
 * A streamed `vmFetch` on the wire. The request's head is a header of a POST, and its body the POST's body. The answer's body begins
 * with the head of the response: its length in 4 bytes, then JSON.
 */

/** Header with the head of a request: JSON in base64url. */
export const FETCH_HEADER = "x-agent-vm-fetch";

/** Bytes of the length before the head of a response. */
export const HEAD_LENGTH_BYTES = 4;

/** Longest head of a response. Node's parser refuses longer headers of a server. */
export const MAX_HEAD_BYTES = 256 * 1024;

/** Head of a response. */
export interface FetchHead {
  /** HTTP status. */
  status: number;
  statusText: string;
  headers: [string, string][];
}

/** Writes the head of a response, with its length in front. */
export function encodeHead(head: FetchHead): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(head));
  const framed = new Uint8Array(HEAD_LENGTH_BYTES + json.length);
  new DataView(framed.buffer).setUint32(0, json.length);
  framed.set(json, HEAD_LENGTH_BYTES);
  return framed;
}
