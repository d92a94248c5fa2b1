/** Limits concurrent holders to a capacity. Waiters get a place in the order of their calls. */
export class Semaphore {
  readonly #capacity: number;
  #taken = 0;
  #waiting: (() => void)[] = [];

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
    if (next === undefined) this.#taken--;
    else next();
  }

  /** Runs work in a place. @throws the signal's reason, or the error of the work */
  async run<Result>(work: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    await this.acquire(signal);
    try {
      return await work();
    } finally {
      this.release();
    }
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
}
