import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import type { FileWriter } from "../sandbox/files.ts";

/** Receives a file for the VM piece by piece. */
export class Upload {
  readonly #writer: FileWriter;
  readonly #size: number;
  readonly #arrived = new ByteRanges();

  constructor(writer: FileWriter, size: number) {
    this.#writer = writer;
    this.#size = size;
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + data.length > this.#size)
      throw invalidArgument(
        "offset",
        `an offset that keeps the piece within the file's ${this.#size} bytes`,
        offset,
      );
    await this.#writer.write(offset, data);
    this.#arrived.add(offset, data.length);
  }

  assertComplete(): void {
    const { total } = this.#arrived;
    if (total === this.#size) return;
    throw new AgentVmError(
      "invalid_argument",
      `Expected ${this.#size} bytes before the commit, got ${total}`,
      { size: this.#size, received: total },
    );
  }

  commit(): Promise<void> {
    return this.#writer.commit();
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}

/** Tracks which bytes of a file have arrived. Pieces may arrive in any order and more than once. */
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

  /** Number of arrived bytes, each counted once. */
  get total(): number {
    return this.#ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  }
}
