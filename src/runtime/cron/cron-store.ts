import { GroupWriter } from "../../base/group-writer.ts";
import { countInBatch, type Store, type StoreEntry } from "../store/store.ts";

interface CronWrite {
  entries: readonly StoreEntry[];
  deleted: readonly string[];
}

/** Writes records of jobs and runs in order and in groups: two hundred jobs that fire in one second cost a few writes. */
export class CronStore {
  readonly #writer: GroupWriter<CronWrite>;

  constructor(store: Store) {
    this.#writer = new GroupWriter({
      async write(group) {
        // The newest value of a key counts.
        const entries = new Map(group.flatMap((write) => write.entries));
        if (entries.size > 0) await store.put([...entries]);
        const deleted = group.flatMap((write) => write.deleted);
        if (deleted.length > 0) await store.delete(deleted);
      },
      count(waiting) {
        const fitting = countInBatch(waiting);
        // A deleted key must not come back with an entry of a later write.
        const deleting = waiting.findIndex(({ deleted }) => deleted.length > 0);
        return deleting < 0 ? fitting : Math.min(fitting, deleting + 1);
      },
    });
  }

  /**
   * Resolves when the records are durable.
   *
   * @param entries stored all or none; at most one batch of the store
   * @param deleted keys that are deleted after them
   */
  write(entries: readonly StoreEntry[], deleted: readonly string[] = []): Promise<void> {
    return this.#writer.add({ entries, deleted });
  }

  /** Resolves when nothing is left to write. */
  settled(): Promise<void> {
    return this.#writer.idle();
  }
}
