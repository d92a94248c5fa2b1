import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import type { FileWriter } from "../sandbox/files.ts";
import { ByteRanges } from "./byte-ranges.ts";

/** A file on its way into the VM, piece by piece. */
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
        `such that the piece ends within the file's ${this.#size} bytes`,
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
