/**
 * Time from the start of a program to the first measurement.
 * @unit ms
 */
const FIRST_MS = 2_000;

/** A longer pause between measurements ends them: the meter of the VM measures once a minute anyway. */
const LONGEST_MS = 32_000;

/**
 * Measures a VM after a program has started: soon, then with pauses that double, then no more. A VM in which nothing
 * starts costs nothing.
 */
export class ActivityTimer {
  readonly #measure: () => Promise<unknown>;
  #timer: NodeJS.Timeout | undefined;
  #delay = FIRST_MS;

  /** @param measure must not reject */
  constructor(measure: () => Promise<unknown>) {
    this.#measure = measure;
  }

  /** Something has started in the VM. */
  started(): void {
    if (this.#timer !== undefined && this.#delay === FIRST_MS) return;
    this.#delay = FIRST_MS;
    this.#set();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #set(): void {
    clearTimeout(this.#timer);
    const timer = setTimeout(() => void this.#run(timer), this.#delay).unref();
    this.#timer = timer;
  }

  async #run(timer: NodeJS.Timeout): Promise<void> {
    await this.#measure();
    // A program has started meanwhile, or the VM is down.
    if (this.#timer !== timer) return;
    this.#timer = undefined;
    this.#delay *= 2;
    if (this.#delay <= LONGEST_MS) this.#set();
  }
}
