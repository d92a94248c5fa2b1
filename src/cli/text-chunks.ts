import type { OutputChunk, OutputStream } from "../api/methods/process-types.ts";
import { textOrBytes } from "../base/bytes.ts";

/** Bytes of the longest character of UTF-8. */
const CHARACTER_BYTES = 4;

/** Prints chunks of output as text. A character that two chunks share is printed with the second chunk. */
export class TextChunks {
  readonly #print: (chunk: OutputChunk, data: string | Uint8Array) => Promise<void>;
  /** The last chunk of each stream that ends within a character, with the bytes of the character. */
  readonly #held = new Map<OutputStream, { chunk: OutputChunk; bytes: Uint8Array }>();

  /** @param print prints a chunk as text, or as bytes if it is not UTF-8 */
  constructor(print: (chunk: OutputChunk, data: string | Uint8Array) => Promise<void>) {
    this.#print = print;
  }

  async push(chunk: OutputChunk): Promise<void> {
    const data = Buffer.concat([this.#held.get(chunk.stream)?.bytes ?? new Uint8Array(), chunk.data]);
    const end = data.byteLength - unfinished(data);
    if (end < data.byteLength) this.#held.set(chunk.stream, { chunk, bytes: data.subarray(end) });
    else this.#held.delete(chunk.stream);
    if (end > 0) await this.#print(chunk, textOrBytes(data.subarray(0, end)));
  }

  /** Prints the bytes of characters that no chunk has completed. */
  async end(): Promise<void> {
    for (const { chunk, bytes } of this.#held.values()) await this.#print(chunk, textOrBytes(bytes));
    this.#held.clear();
  }
}

/** Returns how many bytes at the end begin a character that further bytes may complete. */
function unfinished(data: Uint8Array): number {
  for (let count = 1; count < CHARACTER_BYTES && count <= data.byteLength; count += 1) {
    const byte = data[data.byteLength - count] ?? 0;
    const continues = byte >= 0x80 && byte < 0xc0;
    if (continues) continue;
    const size = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : CHARACTER_BYTES;
    return count < size ? count : 0;
  }
  return 0;
}
