/** What the running execs of one VM may capture together. */
export class CaptureBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** @returns how much of it there is */
  take(bytes: number): number {
    const taken = Math.max(0, Math.min(bytes, this.#left));
    this.#left -= taken;
    return taken;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}
