import type { Store } from "../store/store.ts";
import { isStorageDamaged } from "./codec.ts";
import { loadHead } from "./head.ts";
import { loadTree } from "./root.ts";

/** Files and bytes of the newest checkpoint; `undefined` if its records are damaged. */
export async function storedUsage(store: Store): Promise<{ files: number; bytes: number } | undefined> {
  try {
    const { root } = await loadHead(store);
    if (root === null) return { files: 0, bytes: 0 };
    const { files, bytes } = await loadTree(store, root);
    return { files, bytes };
  } catch (error) {
    if (isStorageDamaged(error)) return undefined;
    throw error;
  }
}
