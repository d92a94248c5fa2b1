import { StringDecoder } from "node:string_decoder";
import type { OutputStream } from "../../api/methods/process-types.ts";
import { KIB } from "../../api/units.ts";
import { ByteCollector } from "../../base/byte-collector.ts";
import { equalShare, type FairPool, PooledKeeper } from "../../base/fair-pool.ts";
import { pause } from "../../base/pace.ts";
import { MAX_INTERLEAVED_BYTES, MAX_INTERLEAVED_RUNS } from "./limits.ts";

/** Bytes that are decoded without a look at the time. Bytes that are no text take longest: 1 ms. */
const PIECE_BYTES = 64 * KIB;

/**
 * Bytes that all running `exec` calls of one VM may capture together. Past the limit of all VMs, the VMs that capture the most lose
 * the end of their largest captures.
 */
export class CaptureBudget extends PooledKeeper {
  readonly #most: number;
  /** Captures that can be cut. */
  readonly #captures = new Set<Capture>();

  /** @param pool bytes of all VMs. @default none */
  constructor(bytes: number, pool?: FairPool) {
    super(pool);
    this.#most = bytes;
  }

  /** Bytes that a capture may still take. */
  get room(): number {
    return this.#most - this.bytes;
  }

  took(capture: Capture, bytes: number): void {
    this.#captures.add(capture);
    this.change(bytes);
  }

  give(bytes: number): void {
    this.change(-bytes);
  }

  /** A capture is being read, and cannot be cut any more. */
  isRead(capture: Capture): void {
    this.#captures.delete(capture);
  }

  shrinkTo(bytes: number): void {
    const captures = [...this.#captures];
    const lengths = captures.map(({ length }) => length);
    const fixed = this.bytes - lengths.reduce((sum, length) => sum + length, 0);
    const share = Math.floor(equalShare(lengths, Math.max(0, bytes - fixed)));
    for (const capture of captures) if (capture.length > share) capture.cutTo(share);
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
  #isRead = false;

  constructor(capacityBytes: number, budget: CaptureBudget) {
    this.#capacity = capacityBytes;
    this.#budget = budget;
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  /** Captured bytes of both streams. */
  get length(): number {
    return this.#bytes;
  }

  push(stream: OutputStream, data: Buffer): void {
    if (this.#isRead) return;
    // Output after a gap is dropped: it would look like one text.
    const most = Math.min(this.#capacity - this.#bytes, this.#budget.room);
    const room = this.#truncated ? 0 : Math.min(data.length, most);
    if (data.length > room) this.#truncated = true;
    if (room <= 0) return;
    this.#bytes += room;
    this.#kept[stream].push(data.subarray(0, room));
    this.#note(stream, room);
    this.#budget.took(this, room);
  }

  #note(stream: OutputStream, room: number): void {
    if (this.#runs.length > MAX_INTERLEAVED_RUNS) return;
    const last = this.#runs.at(-1);
    if (last?.stream === stream) last.bytes += room;
    else this.#runs.push({ stream, bytes: room });
  }

  /** Drops the end of the longer stream, or of both, for the sake of other captures. */
  cutTo(bytes: number): void {
    const { stdout, stderr } = this.#kept;
    const share = Math.floor(equalShare([stdout.length, stderr.length], bytes));
    for (const kept of [stdout, stderr]) if (kept.length > share) kept.cutTo(share);
    const dropped = this.#bytes - stdout.length - stderr.length;
    this.#truncated = true;
    this.#bytes -= dropped;
    this.#budget.give(dropped);
  }

  /**
   * Decodes both streams as UTF-8. Call it once. An invalid byte becomes U+FFFD,
   * which takes three bytes, so a text that grows past its limit is cut again. Yields to the event loop in between: bytes that are no
   * text take 15 ms a MiB.
   */
  async texts(): Promise<Texts> {
    this.#isRead = true;
    this.#budget.isRead(this);
    const bytes = { stdout: this.#kept.stdout.takeAll(), stderr: this.#kept.stderr.takeAll() };
    const stdout = await this.#text(bytes.stdout, this.#capacity);
    const stderr = await this.#text(bytes.stderr, this.#capacity - stdout.bytes);
    const maxBytes = Math.min(this.#capacity, MAX_INTERLEAVED_BYTES);
    const output = await decode(this.#interleaved(bytes), maxBytes);
    return { stdout: stdout.text, stderr: stderr.text, output: output.text };
  }

  /** Returns the bytes to the budget. Idempotent. */
  release(): void {
    this.#isRead = true;
    this.#budget.isRead(this);
    this.#budget.give(this.#bytes);
    this.#bytes = 0;
  }

  async #text(bytes: Buffer, maxBytes: number): Promise<Text> {
    const text = await decode([{ stream: "stdout", bytes }], maxBytes);
    if (text.isCut) this.#truncated = true;
    return text;
  }

  /** Returns the captured bytes of both streams in the order of their arrival. */
  *#interleaved(bytes: Record<OutputStream, Buffer>): Generator<Piece> {
    const offsets = { stdout: 0, stderr: 0 };
    let left = MAX_INTERLEAVED_BYTES;
    for (const { stream, bytes: length } of this.#runs) {
      const start = offsets[stream];
      const end = start + Math.min(length, left);
      yield { stream, bytes: bytes[stream].subarray(start, end) };
      offsets[stream] = end;
      left -= end - start;
    }
  }
}

/** Bytes of one stream. */
interface Piece {
  stream: OutputStream;
  bytes: Buffer;
}

/** A decoded text. */
interface Text {
  text: string;
  /** Bytes of the text in UTF-8. */
  bytes: number;
  /** Whether the text did not fit. */
  isCut: boolean;
}

/** Decodes UTF-8, each stream for itself, up to a number of bytes of text. */
async function decode(pieces: Iterable<Piece>, maxBytes: number): Promise<Text> {
  const decoders = { stdout: new StringDecoder("utf8"), stderr: new StringDecoder("utf8") };
  let text = "";
  let bytes = 0;
  const add = (part: string): boolean => {
    const fitting = cut(part, maxBytes - bytes);
    text += fitting;
    bytes += Buffer.byteLength(fitting);
    return fitting === part;
  };
  for (const piece of pieces) {
    for (let offset = 0; offset < piece.bytes.length; offset += PIECE_BYTES) {
      const turn = pause();
      if (turn !== null) await turn;
      const part = decoders[piece.stream].write(piece.bytes.subarray(offset, offset + PIECE_BYTES));
      if (!add(part)) return { text, bytes, isCut: true };
    }
  }
  const fits = add(decoders.stdout.end() + decoders.stderr.end());
  return { text, bytes, isCut: !fits };
}

/** Returns the beginning of a text that fits into a number of bytes of UTF-8. */
function cut(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const bytes = Buffer.from(text, "utf8");
  let end = maxBytes;
  // Cut at the beginning of a character: half a character would become U+FFFD.
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end).toString("utf8");
}
