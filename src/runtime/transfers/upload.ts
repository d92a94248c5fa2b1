import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import { MAX_TRANSFER_BYTES } from "../../api/limits.ts";
import type { FileWriter } from "../sandbox/files.ts";
import { Incoming } from "./bodies.ts";

/** Receives a file for the VM piece by piece. */
export class Upload extends Incoming {
  readonly #writer: FileWriter;
  /** `undefined` until the commit says it. */
  readonly #size: number | undefined;
  readonly #arrived = new ByteRanges();

  constructor(writer: FileWriter, size: number | undefined) {
    super();
    this.#writer = writer;
    this.#size = size;
  }

  get offset(): number {
    return this.#arrived.first;
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    const most = this.#size ?? MAX_TRANSFER_BYTES;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + data.length > most)
      throw invalidArgument(
        "offset",
        `an offset that keeps the piece within the file's ${most} bytes`,
        offset,
      );
    await this.#writer.write(offset, data);
    this.#arrived.add(offset, data.length);
  }

  /** @param size size of the file, if the transfer began without it */
  assertComplete(size = this.#size): void {
    const { total, end } = this.#arrived;
    if (size === undefined) throw invalidArgument("size", "the size of the file", size);
    if (size !== (this.#size ?? size)) throw invalidArgument("size", String(this.#size), size);
    if (total === size && end === size) return;
    throw new AgentVmError("invalid_argument", `Expected ${size} bytes before the commit, got ${total}`, {
      size,
      received: total,
    });
  }

  commit(): Promise<void> {
    return this.#writer.commit();
  }

  close(): Promise<void> {
    this.turn.cut();
    return this.#writer.close();
  }
}

/**
 * Tracks which bytes of a file have arrived. Pieces may arrive in any order and more than once.
 * @internal exported for tests of every order
 */
export class ByteRanges {
  /** Sorted ranges that neither overlap nor touch. */
  #ranges: { start: number; end: number }[] = [];

  add(start: number, length: number): void {
    if (length === 0) return;
    let merged = { start, end: start + length };
    const apart = this.#ranges.filter((range) => {
      const touches = range.start <= merged.end && range.end >= merged.start;
      if (touches)
        merged = { start: Math.min(range.start, merged.start), end: Math.max(range.end, merged.end) };
      return !touches;
    });
    this.#ranges = [...apart, merged].sort((left, right) => left.start - right.start);
  }

  /** Bytes at the beginning that have arrived without a gap. */
  get first(): number {
    const [range] = this.#ranges;
    return range?.start === 0 ? range.end : 0;
  }

  /** End of the last byte that has arrived. */
  get end(): number {
    return this.#ranges.at(-1)?.end ?? 0;
  }

  /** Number of arrived bytes, each counted once. */
  get total(): number {
    return this.#ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  }
}
