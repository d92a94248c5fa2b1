import { z } from "zod";
import type { Labels } from "../../api/methods/machine.ts";
import { loadOnce } from "../../base/load-once.ts";
import { Mutex } from "../../base/mutex.ts";
import { MACHINE_KEY } from "../store/keys.ts";
import { type ChangeOptions, encodeJson, LAZY, type Store, tryDecodeJson } from "../store/store.ts";

const recordSchema = z.object({
  labels: z.record(z.string(), z.string()),
  boots: z.int().nonnegative(),
});

/** Facts of a VM that outlive its boots. */
export type MachineFacts = z.output<typeof recordSchema>;

/** The record of a VM about itself in its store. */
export class MachineRecord {
  readonly #store: Store;
  readonly #labels: Labels;
  readonly #writes = new Mutex();
  readonly #load = loadOnce(() => this.#read());

  /** @param labels labels of a VM that has stored none */
  constructor(store: Store, labels: Labels = {}) {
    this.#store = store;
    this.#labels = labels;
  }

  async facts(): Promise<Readonly<MachineFacts>> {
    return await this.#load();
  }

  /** Replaces the labels. Durable when it resolves. */
  setLabels(labels: Labels): Promise<void> {
    return this.#change((facts) => ({ ...facts, labels }));
  }

  /** A loss of power may take the newest boot back, with all that it has not stored. */
  countBoot(): Promise<void> {
    return this.#change((facts) => ({ ...facts, boots: facts.boots + 1 }), LAZY);
  }

  #change(change: (facts: MachineFacts) => MachineFacts, options?: ChangeOptions): Promise<void> {
    return this.#writes.run(async () => {
      const facts = await this.#load();
      const changed = change(facts);
      await this.#store.put([[MACHINE_KEY, encodeJson(changed)]], options);
      Object.assign(facts, changed);
    });
  }

  async #read(): Promise<MachineFacts> {
    const [bytes] = await this.#store.get([MACHINE_KEY]);
    const parsed = recordSchema.safeParse(bytes && tryDecodeJson(bytes));
    if (parsed.success) return parsed.data;
    const first = { labels: this.#labels, boots: 0 };
    // A list behind a Rivet Engine reads the labels of a VM that has never booted.
    if (Object.keys(first.labels).length > 0) await this.#store.put([[MACHINE_KEY, encodeJson(first)]]);
    return first;
  }
}
