interface GroupWriterOptions<Item> {
  /** Writes a group of items, whole or not at all. */
  write(items: readonly Item[]): Promise<void>;
  /** Number of waiting items, from the first on, that the next group takes. At least 1. @default all */
  count?(waiting: readonly Item[]): number;
  /** Makes items depend on the earlier ones. Called after a group has failed and all waiting items are dropped. */
  onLost?(error: unknown): void;
}

interface Waiting<Item> {
  item: Item;
  done: PromiseWithResolvers<void>;
}

/**
 * Writes items in order, one group at a time. Items that arrive during a write form the next group, so a thousand items
 * a second cost a handful of writes.
 *
 * If a write fails, its items fail. Later items are still written, unless `onLost` is given: then each item depends on
 * the earlier ones, and all waiting items fail too.
 */
export class GroupWriter<Item> {
  readonly #options: GroupWriterOptions<Item>;
  #waiting: Waiting<Item>[] = [];
  #running: Promise<void> | undefined;
  #closed: { reason: unknown } | undefined;

  constructor(options: GroupWriterOptions<Item>) {
    this.#options = options;
  }

  /** @returns a promise that resolves when the item is written */
  add(item: Item): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed.reason);
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ item, done });
    // A callback that throws ends the run; its items have their error, and the next item begins another run.
    this.#running ??= this.#run().catch(() => undefined);
    return done.promise;
  }

  /** Resolves when nothing waits and no write is in progress. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Rejects all waiting and later items. A write in progress continues; `idle` waits for it. */
  close(reason: unknown): void {
    this.#closed ??= { reason };
    this.#reject(this.#waiting.splice(0), reason);
  }

  async #run(): Promise<void> {
    // Items added in the same turn form one group.
    await null;
    try {
      while (this.#waiting.length > 0) await this.#writeGroup();
    } finally {
      this.#running = undefined;
    }
  }

  async #writeGroup(): Promise<void> {
    const { write, count, onLost } = this.#options;
    const items = this.#waiting.map(({ item }) => item);
    let group: Waiting<Item>[] = [];
    try {
      group = this.#waiting.splice(0, Math.max(1, count?.(items) ?? items.length));
      await write(items.slice(0, group.length));
      for (const { done } of group) done.resolve();
    } catch (error) {
      // Without a group, `count` has failed, for every waiting item.
      if (onLost !== undefined || group.length === 0) group.push(...this.#waiting.splice(0));
      try {
        onLost?.(error);
      } finally {
        this.#reject(group, error);
      }
    }
  }

  #reject(group: readonly Waiting<Item>[], reason: unknown): void {
    for (const { done } of group) done.reject(reason);
  }
}
