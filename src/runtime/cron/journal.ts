import { countInBatch, type Store, type StoreEntry } from "../store.ts";

interface Group {
  entries: readonly StoreEntry[];
  deleted: readonly string[];
  done: PromiseWithResolvers<void>;
}

/**
 * Writes to the store in the order in which they were asked for. What comes while one write is under way goes together
 * into the next, so that two hundred jobs that fire in one second cost a handful of writes.
 */
export class Journal {
  readonly #store: Store;
  #queue: Group[] = [];
  #writing: Promise<void> | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Resolves when it is durable.
   *
   * @param entries all of them or none; at most one batch of the store.
   * @param deleted keys that go after them.
   */
  write(entries: readonly StoreEntry[], deleted: readonly string[] = []): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#queue.push({ entries, deleted, done });
    this.#writing ??= this.#writeAll();
    return done.promise;
  }

  /** Resolves when nothing is left to be written. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#queue.length > 0) await this.#writeSome(this.#takeBatch());
    this.#writing = undefined;
  }

  async #writeSome(groups: readonly Group[]): Promise<void> {
    try {
      // Of one key the newest value counts.
      const entries = new Map(groups.flatMap((group) => group.entries));
      if (entries.size > 0) await this.#store.put([...entries]);
      const deleted = groups.flatMap((group) => group.deleted);
      if (deleted.length > 0) await this.#store.delete(deleted);
      for (const { done } of groups) done.resolve();
    } catch (error) {
      for (const { done } of groups) done.reject(error);
    }
  }

  /** The first groups, as many as fit into one batch. */
  #takeBatch(): Group[] {
    const fitting = this.#queue.slice(0, countInBatch(this.#queue));
    // A deleted key must not come back with an entry of a later group.
    const deleting = fitting.findIndex(({ deleted }) => deleted.length > 0);
    return this.#queue.splice(0, deleting < 0 ? fitting.length : deleting + 1);
  }
}
