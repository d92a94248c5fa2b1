import { TRANSFER_CHUNK_BYTES } from "../api/limits.ts";

/** Reports the progress of a transfer after each TRANSFER_CHUNK_BYTES, and once at its end. Never goes back. */
export class Steps {
  readonly #report: (transferred: number) => void;
  #reported = 0;

  constructor(report: (transferred: number) => void) {
    this.#report = report;
  }

  reach(transferred: number): void {
    const step = transferred - (transferred % TRANSFER_CHUNK_BYTES);
    if (step > this.#reported) this.#tell(step);
  }

  end(transferred: number): void {
    if (transferred !== this.#reported || transferred === 0) this.#tell(transferred);
  }

  #tell(transferred: number): void {
    this.#reported = transferred;
    this.#report(transferred);
  }
}
