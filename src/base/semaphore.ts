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

  /** Number of waiters. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** @throws the signal's reason. The waiter has then left the queue */
  async acquire(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#taken >= this.#capacity) await this.#inQueue(signal);
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

  #inQueue(signal: AbortSignal | undefined): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiting.push(enter);
    });
  }

  /** Resolves when no place is taken. */
  async idle(): Promise<void> {
    if (this.#taken > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }
}
