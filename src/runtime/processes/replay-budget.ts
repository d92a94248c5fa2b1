/** A buffer that can be made smaller. */
interface Holder {
  dropOldest(): boolean;
}

/** What the buffers of one VM may hold together. Where that is passed, those that have ended give way, the oldest first. */
export class ReplayBudget {
  readonly #capacity: number;
  readonly #running = new Set<Holder>();
  readonly #ended = new Set<Holder>();
  #bytes = 0;

  constructor(capacityBytes: number) {
    this.#capacity = capacityBytes;
  }

  take(holder: Holder, bytes: number): void {
    this.#running.add(holder);
    this.#bytes += bytes;
    for (const set of [this.#ended, this.#running]) {
      for (const oldest of set) {
        while (this.#bytes > this.#capacity && oldest.dropOldest());
        if (this.#bytes <= this.#capacity) return;
        set.delete(oldest);
      }
    }
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }

  ended(holder: Holder): void {
    if (this.#running.delete(holder)) this.#ended.add(holder);
  }

  forget(holder: Holder): void {
    this.#running.delete(holder);
    this.#ended.delete(holder);
  }
}
