import type { Store, StoreEntry } from "../store.ts";

/** Entries that are read in one step, which holds the event loop. */
const PAGE = 100;

/** All entries below a prefix, in the order of their keys. */
export async function* pages(store: Store, prefix: string): AsyncGenerator<StoreEntry, void, void> {
  let after: string | undefined;
  for (;;) {
    const page = await store.list(prefix, { limit: PAGE, ...(after !== undefined && { after }) });
    yield* page;
    if (page.length < PAGE) return;
    after = page.at(-1)?.[0];
  }
}
