import { z } from "zod";
import { decodeJson, encodeJson, type Store } from "../store.ts";
import { getParts, partsOf, putAll } from "./codec.ts";
import { keyOf, numberIn, prefixOf } from "./keys.ts";
import type { RootRecord } from "./root.ts";

const numbers = z.array(z.int().nonnegative());
const garbageSchema = z.object({ packs: numbers, pages: numbers, roots: numbers });

/** What no tree refers to any more. */
export type Garbage = z.infer<typeof garbageSchema>;

export const NO_GARBAGE: Garbage = { packs: [], pages: [], roots: [] };

export const isEmpty = ({ packs, pages, roots }: Garbage): boolean =>
  packs.length + pages.length + roots.length === 0;

/** What dying trees had that no living one has. */
export function garbageOf(
  dying: ReadonlyMap<number, RootRecord>,
  living: ReadonlyMap<number, RootRecord>,
  orphans: Garbage,
): Garbage {
  const packs = new Set(orphans.packs);
  const pages = new Set(orphans.pages);
  for (const root of dying.values()) {
    for (const [pack] of root.packs) packs.add(pack);
    for (const [page] of root.pages) pages.add(page);
  }
  for (const root of living.values()) {
    for (const [pack] of root.packs) packs.delete(pack);
    for (const [page] of root.pages) pages.delete(page);
  }
  const roots = new Set([...orphans.roots, ...dying.keys()]);
  for (const number of living.keys()) roots.delete(number);
  return { packs: [...packs], pages: [...pages], roots: [...roots] };
}

/** Notes what the commit of a generation makes superfluous, so that it is collected even after a crash. */
export async function noteGarbage(store: Store, generation: number, garbage: Garbage): Promise<void> {
  await putAll(store, partsOf("garbage", generation, encodeJson(garbage)));
}

/** Deletes what was noted for generations up to the committed one; notes of later ones never came to count. */
export async function collectGarbage(store: Store, committed: number): Promise<void> {
  for (;;) {
    const [first] = await store.list(prefixOf("garbage"), { limit: 1 });
    if (first === undefined) return;
    const generation = numberIn("garbage", first[0]);
    if (generation <= committed) await deleteNoted(store, generation);
    await deleteNumber(store, "garbage", generation);
  }
}

/** Forgets notes from a generation on and before another. */
export async function deleteNotes(store: Store, from: number, to: number): Promise<void> {
  if (from < to) await store.deleteRange(keyOf("garbage", from), keyOf("garbage", to));
}

async function deleteNoted(store: Store, generation: number): Promise<void> {
  const bytes = await getParts(store, "garbage", generation);
  if (bytes === undefined) return;
  const note = garbageSchema.safeParse(jsonOf(bytes));
  // What it named is kept for nothing, which harms less than to guess.
  if (!note.success) return;
  const { packs, pages, roots } = note.data;
  for (const pack of packs) await deleteNumber(store, "pack", pack);
  for (const page of pages) await deleteNumber(store, "page", page);
  for (const root of roots) await deleteNumber(store, "root", root);
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return decodeJson(bytes);
  } catch {
    return undefined;
  }
}

async function deleteNumber(
  store: Store,
  kind: "pack" | "page" | "root" | "garbage",
  number: number,
): Promise<void> {
  await store.deleteRange(keyOf(kind, number), keyOf(kind, number + 1));
}

/** Deletes what a server that died had written before its commit: numbers that the head does not know. */
export async function deleteOrphans(
  store: Store,
  next: { nextPack: number; nextPage: number; nextRoot: number },
): Promise<void> {
  const { nextPack, nextPage, nextRoot } = next;
  for (const [kind, number] of [
    ["pack", nextPack],
    ["page", nextPage],
    ["root", nextRoot],
  ] as const) {
    await store.deleteRange(keyOf(kind, number), `${prefixOf(kind)}~`);
  }
}
