import type { Store } from "../store.ts";
import { deleteNotes, type Garbage, isEmpty, noteGarbage } from "./garbage.ts";
import { type Head, loadHead, putHead } from "./head.ts";

/** The head record of a store, one after the other. */
export class Commits {
  readonly #store: Store;
  #head: Head;
  /** Each attempt has a generation of its own, so that what one has noted is not taken for another's. */
  #nextGeneration: number;

  constructor(store: Store, head: Head) {
    this.#store = store;
    this.#head = head;
    this.#nextGeneration = head.generation + 1;
  }

  get head(): Head {
    return this.#head;
  }

  /** @param garbage what nothing refers to any more once this counts */
  async commit(change: Partial<Head>, garbage: Garbage): Promise<void> {
    const generation = this.#nextGeneration++;
    const head = { ...this.#head, ...change, generation };
    if (!isEmpty(garbage)) await noteGarbage(this.#store, generation, garbage);
    // An attempt that failed has noted what still counts: nobody may collect that once a later one has come through.
    await deleteNotes(this.#store, this.#head.generation + 1, generation);
    try {
      await putHead(this.#store, head);
    } catch (error) {
      if (!(await this.#counts(generation))) throw error;
    }
    this.#head = head;
  }

  /** A commit that failed may have come through, and only its answer been lost. */
  async #counts(generation: number): Promise<boolean> {
    try {
      return (await loadHead(this.#store)).generation === generation;
    } catch {
      // It is told as failed; the next one, or the next boot, takes either for true.
      return false;
    }
  }
}
