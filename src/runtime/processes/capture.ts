import type { OutputStream } from "../../api/types.ts";

/** Keeps a command's output up to a number of bytes over both streams. */
export class Capture {
  readonly #capacity: number;
  readonly #pieces: Record<OutputStream, Buffer[]> = { stdout: [], stderr: [] };
  #bytes = 0;
  #truncated = false;

  constructor(capacityBytes: number) {
    this.#capacity = capacityBytes;
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  push(stream: OutputStream, data: Buffer): void {
    const room = this.#capacity - this.#bytes;
    if (data.length > room) this.#truncated = true;
    if (room <= 0) return;
    const kept = data.subarray(0, room);
    this.#bytes += kept.length;
    // A small read sits in a large buffer; keeping that would cost more than the output itself.
    this.#pieces[stream].push(kept.length * 2 < kept.buffer.byteLength ? Buffer.from(kept) : kept);
  }

  /**
   * Both streams decoded as UTF-8. What is not UTF-8 becomes U+FFFD, three bytes for one, so text is cut again where
   * it would be longer than the bytes that were allowed.
   */
  texts(): Record<OutputStream, string> {
    const stdout = this.#text("stdout", this.#capacity);
    const stderr = this.#text("stderr", this.#capacity - Buffer.byteLength(stdout));
    return { stdout, stderr };
  }

  #text(stream: OutputStream, maxBytes: number): string {
    const text = Buffer.concat(this.#pieces[stream]).toString("utf8");
    if (Buffer.byteLength(text) <= maxBytes) return text;
    this.#truncated = true;
    const bytes = Buffer.from(text, "utf8");
    let end = maxBytes;
    // Back to where a character begins: half of one would become U+FFFD, longer than what was cut.
    while (end > 0 && isContinuation(bytes[end] as number)) end--;
    return bytes.subarray(0, end).toString("utf8");
  }
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
