import { checksum } from "../../src/runtime/persistence/codec.ts";
import { loadHead } from "../../src/runtime/persistence/head.ts";
import { PackReader } from "../../src/runtime/persistence/packs.ts";
import { loadPage, loadRoot } from "../../src/runtime/persistence/root.ts";
import { pathOf, StepReader } from "../../src/runtime/sandbox/tree-path.ts";
import type { Store } from "../../src/runtime/store/store.ts";

/**
 * Checks a VM's files in a store, as fsck does.
 *
 * @returns faults: content that does not match its hash, and keys that nothing refers to
 */
export async function faultsOfStoredTrees(store: Store): Promise<string[]> {
  const faults: string[] = [];
  const head = await loadHead(store);
  const referred = new Set<string>();
  const packs = new PackReader(store);
  for (const number of [head.root, ...head.snapshots.map(({ root }) => root)]) {
    if (number === null) continue;
    const root = await loadRoot(store, number);
    referred.add(`root/${number}`);
    const listed = new Set(root.packs.map(([pack]) => pack));
    for (const pack of listed) referred.add(`pack/${pack}`);
    const steps = new StepReader();
    for (const [page] of root.pages) {
      referred.add(`page/${page}`);
      for (const entry of await loadPage(store, page, steps)) {
        if (entry.type !== "file") continue;
        for (const chunk of entry.chunks) {
          if (!listed.has(chunk.pack))
            faults.push(`${pathOf(entry.place)} is in a pack that its root does not list`);
          const content = await packs.read(chunk);
          if (checksum(content).toString("base64url") !== chunk.hash)
            faults.push(`${pathOf(entry.place)} does not match its hash`);
        }
      }
    }
  }
  for (const kind of ["pack", "page", "root"]) {
    for (const [key] of await store.list(`fs/${kind}/`)) {
      const name = `${kind}/${Number(key.split("/")[2])}`;
      if (!referred.has(name)) faults.push(`nothing refers to ${key}`);
    }
  }
  for (const [key] of await store.list("fs/garbage/")) faults.push(`${key} is left`);
  for (const [key] of await store.list("fs/journal/")) {
    if (Number(key.split("/")[2]) < head.journal) faults.push(`${key} is in the checkpoint already`);
  }
  return faults;
}
