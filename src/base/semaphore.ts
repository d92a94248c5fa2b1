/** Limits concurrent holders to a capacity. Waiters get a place in the order of their calls. */
export class Semaphore {
  readonly #capacity: number;
  #taken = 0;
  #waiting: (() => void)[] = [];
  #idle: (() => void)[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get busy(): number {
    return this.#taken;
  }

  async acquire(): Promise<void> {
    if (this.#taken >= this.#capacity) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#taken++;
  }

  /** Gives the place to the longest waiter. */
  release(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next();
      return;
    }
    this.#taken--;
    if (this.#taken === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Resolves when no place is taken. */
  async idle(): Promise<void> {
    if (this.#taken > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }
}
