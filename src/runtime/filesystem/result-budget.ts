import { responseTooLarge } from "../../api/errors.ts";
import { wireSize } from "../../api/size.ts";

/** What the frame around a file's bytes takes. */
const FRAME_BYTES = 64;

/** Counts a result while it grows, and refuses it once it is past what one message carries. */
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

  /** @param bytes what would come on top */
  exceeded(bytes = 0): Error {
    return responseTooLarge(this.#action, this.#used + bytes, this.#maximum, this.#instead);
  }
}
