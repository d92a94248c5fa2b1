import { StringDecoder } from "node:string_decoder";
import type { OutputStream } from "../../api/methods/process-types.ts";
import { ByteCollector } from "../../base/byte-collector.ts";
import { MAX_INTERLEAVED_BYTES, MAX_INTERLEAVED_RUNS } from "./limits.ts";

/** Bytes that all running `exec` calls of one VM may capture together. */
export class CaptureBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** @returns the granted bytes: `bytes`, or fewer if the budget has fewer left */
  take(bytes: number): number {
    const taken = Math.max(0, Math.min(bytes, this.#left));
    this.#left -= taken;
    return taken;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

/** Bytes of one stream that arrived without a byte of the other stream between them. */
interface Run {
  stream: OutputStream;
  bytes: number;
}

/** Captured output as text. */
type Texts = Record<OutputStream | "output", string>;

/** Keeps a command's output, up to a number of bytes over both streams and up to the budget of its VM. */
export class Capture {
  readonly #capacity: number;
  readonly #budget: CaptureBudget;
  readonly #kept: Record<OutputStream, ByteCollector> = {
    stdout: new ByteCollector(),
    stderr: new ByteCollector(),
  };
  /** The order in which the kept bytes arrived. */
  readonly #runs: Run[] = [];
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
    // Output after a gap is dropped: it would look like one text.
    const room = this.#truncated ? 0 : this.#budget.take(Math.min(data.length, this.#capacity - this.#bytes));
    if (data.length > room) this.#truncated = true;
    if (room <= 0) return;
    this.#bytes += room;
    this.#kept[stream].push(data.subarray(0, room));
    if (this.#runs.length > MAX_INTERLEAVED_RUNS) return;
    const last = this.#runs.at(-1);
    if (last?.stream === stream) last.bytes += room;
    else this.#runs.push({ stream, bytes: room });
  }

  /**
   * Decodes both streams as UTF-8 and returns their bytes to the budget. Call it once. An invalid byte becomes U+FFFD,
   * which takes three bytes, so a text that grows past its limit is cut again.
   */
  texts(): Texts {
    const bytes = { stdout: this.#kept.stdout.takeAll(), stderr: this.#kept.stderr.takeAll() };
    const stdout = this.#text(bytes.stdout, this.#capacity);
    const stderr = this.#text(bytes.stderr, this.#capacity - Buffer.byteLength(stdout));
    this.#budget.give(this.#bytes);
    this.#bytes = 0;
    const output = cut(this.#interleaved(bytes), Math.min(this.#capacity, MAX_INTERLEAVED_BYTES));
    return { stdout, stderr, output };
  }

  #text(bytes: Buffer, maxBytes: number): string {
    const text = bytes.toString("utf8");
    const fitting = cut(text, maxBytes);
    if (fitting !== text) this.#truncated = true;
    return fitting;
  }

  #interleaved(bytes: Record<OutputStream, Buffer>): string {
    const decoders = { stdout: new StringDecoder("utf8"), stderr: new StringDecoder("utf8") };
    const offsets = { stdout: 0, stderr: 0 };
    const pieces: string[] = [];
    let left = MAX_INTERLEAVED_BYTES;
    for (const { stream, bytes: length } of this.#runs) {
      const start = offsets[stream];
      const end = start + Math.min(length, left);
      pieces.push(decoders[stream].write(bytes[stream].subarray(start, end)));
      offsets[stream] = end;
      left -= end - start;
    }
    return [...pieces, decoders.stdout.end(), decoders.stderr.end()].join("");
  }
}

/** Returns the beginning of a text that fits into a number of bytes of UTF-8. */
function cut(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const bytes = Buffer.from(text, "utf8");
  let end = maxBytes;
  // Cut at the beginning of a character: half a character would become U+FFFD.
  while (end > 0 && isContinuation(bytes[end] as number)) end--;
  return bytes.subarray(0, end).toString("utf8");
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
