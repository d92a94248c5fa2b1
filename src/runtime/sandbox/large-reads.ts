import { MIB } from "../../api/units.ts";
import { encodings } from "../../base/encodings.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { MAX_LARGE_READS } from "./limits.ts";

/** Size from which a read waits for its turn. */
const LARGE_BYTES = 1 * MIB;

/** Reads of whole files of one tree, large ones a few at a time. */
export class LargeReads {
  readonly #places = new Semaphore(MAX_LARGE_READS);

  /** @param size bytes of the file */
  async run<Result>(size: number, read: () => Promise<Result>): Promise<Result> {
    if (size < LARGE_BYTES) return await read();
    return await this.#places.run(async () => {
      await encodings.run(async () => undefined);
      return await read();
    });
  }
}
