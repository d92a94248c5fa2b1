import type { OutputStream } from "../../api/types.ts";
import { ByteCollector } from "../sandbox/byte-collector.ts";
import type { CaptureBudget } from "./capture-budget.ts";

/** Keeps a command's output up to a number of bytes over both streams, and up to what its VM has left for all. */
export class Capture {
  readonly #capacity: number;
  readonly #budget: CaptureBudget;
  readonly #kept: Record<OutputStream, ByteCollector> = {
    stdout: new ByteCollector(),
    stderr: new ByteCollector(),
  };
  #bytes = 0;
  #truncated = false;

  constructor(capacityBytes: number, budget: CaptureBudget) {
    this.#capacity = capacityBytes;
    this.#budget = budget;
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  push(stream: OutputStream, data: Buffer): void {
    // What follows a gap is not kept: it would look like one text.
    const room = this.#truncated ? 0 : this.#budget.take(Math.min(data.length, this.#capacity - this.#bytes));
    if (data.length > room) this.#truncated = true;
    if (room <= 0) return;
    this.#bytes += room;
    this.#kept[stream].push(data.subarray(0, room));
  }

  /**
   * Both streams decoded as UTF-8, once; the room is given back. What is not UTF-8 becomes U+FFFD, three bytes for one,
   * so text is cut again where it would be longer than the bytes that were allowed.
   */
  texts(): Record<OutputStream, string> {
    const stdout = this.#text("stdout", this.#capacity);
    const stderr = this.#text("stderr", this.#capacity - Buffer.byteLength(stdout));
    this.#budget.give(this.#bytes);
    this.#bytes = 0;
    return { stdout, stderr };
  }

  #text(stream: OutputStream, maxBytes: number): string {
    const text = this.#kept[stream].takeAll().toString("utf8");
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
