import { AgentVmError, responseTooLarge } from "../../api/errors.ts";
import { MAX_READ_FILE_BYTES } from "../../api/limits.ts";
import { wireSize } from "../../api/size.ts";
import type { FileSystem } from "../sandbox/files.ts";

/** Bytes of the frame around a file's content. */
const FRAME_BYTES = 64;

/** Measures a result while it grows, and refuses it when it exceeds the size of one message. */
export class ResultBudget {
  readonly #action: string;
  readonly #maximum: number;
  readonly #instead: string;
  #used = FRAME_BYTES;

  constructor(action: string, maximum: number, instead: string) {
    this.#action = action;
    this.#maximum = maximum;
    this.#instead = instead;
  }

  /** Bytes that may still be added. */
  get left(): number {
    return this.#maximum - this.#used;
  }

  /** Adds one part of the result. */
  add(part: unknown): void {
    this.addBytes(wireSize(part));
  }

  addBytes(bytes: number): void {
    this.#used += bytes;
    if (this.#used > this.#maximum) throw this.exceeded();
  }

  /** @param bytes size of the refused part, if it is not counted yet */
  exceeded(bytes = 0): Error {
    return responseTooLarge(this.#action, this.#used + bytes, this.#maximum, this.#instead);
  }
}

/** Reads a file if it fits into the rest of the budget. A file that is too large is not read at all. */
export async function readWithin(fs: FileSystem, path: string, budget: ResultBudget): Promise<Uint8Array> {
  const maximum = Math.min(budget.left, MAX_READ_FILE_BYTES);
  try {
    const data = await fs.readFile(path, maximum);
    budget.addBytes(data.length);
    return data;
  } catch (error) {
    const isTooLarge = error instanceof AgentVmError && error.code === "EFBIG";
    if (!isTooLarge || budget.left >= MAX_READ_FILE_BYTES) throw error;
    throw budget.exceeded(Number(error.metadata.bytes));
  }
}
