import { MAX_EVENT_DATA_BYTES } from "../../api/limits.ts";

/** Pieces of output that each fit into one event. */
export function* splitEvent(data: Buffer): Generator<Uint8Array> {
  for (let offset = 0; offset < data.length; offset += MAX_EVENT_DATA_BYTES) {
    const piece = data.subarray(offset, offset + MAX_EVENT_DATA_BYTES);
    // Exact copies: a view would carry its whole underlying buffer over the wire and into the replay buffer.
    yield new Uint8Array(piece);
  }
}
