import { z } from "zod";
import { keyOf, numberIn, prefixOf } from "../store/keys.ts";
import { encodeJson, LAZY, putAll, type Store, tryDecodeJson } from "../store/store.ts";
import { getParts, partsOf } from "./codec.ts";
import type { Numbering } from "./head.ts";
import type { RootRecord } from "./root.ts";

const numbersSchema = z.array(z.int().nonnegative());
const garbageSchema = z.object({ packs: numbersSchema, pages: numbersSchema, roots: numbersSchema });

/** Numbers of records that no tree refers to. */
export type Garbage = z.infer<typeof garbageSchema>;

export const NO_GARBAGE: Garbage = { packs: [], pages: [], roots: [] };

export const isEmpty = ({ packs, pages, roots }: Garbage): boolean =>
  packs.length + pages.length + roots.length === 0;

export function joinGarbage(one: Garbage, other: Garbage): Garbage {
  return {
    packs: [...one.packs, ...other.packs],
    pages: [...one.pages, ...other.pages],
    roots: [...one.roots, ...other.roots],
  };
}

/** Records from some numbers on and before others. */
export function recordsBetween(from: Numbering, to: Numbering): Garbage {
  return {
    packs: numbers(from.nextPack, to.nextPack),
    pages: numbers(from.nextPage, to.nextPage),
    roots: numbers(from.nextRoot, to.nextRoot),
  };
}

export const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

/** Records that dying trees refer to and living trees do not, and the orphans. */
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

/** Notes the garbage that the commit of a generation leaves, so that it is deleted even after a crash. */
export async function noteGarbage(store: Store, generation: number, garbage: Garbage): Promise<void> {
  await putAll(store, partsOf("garbage", generation, encodeJson(garbage)), LAZY);
}

/** Deletes the garbage noted for generations up to the committed one. Later notes belong to failed commits. */
export async function collectGarbage(store: Store, committed: number): Promise<void> {
  for (;;) {
    const [first] = await store.list(prefixOf("garbage"), { limit: 1 });
    if (first === undefined) return;
    const generation = numberIn("garbage", first[0]);
    if (generation <= committed) await deleteNoted(store, generation);
    await deleteNumbers(store, "garbage", { first: generation, last: generation });
  }
}

/** Deletes the notes from one generation on and before another. */
export async function deleteNotes(store: Store, from: number, to: number): Promise<void> {
  if (from < to) await store.deleteRange(keyOf("garbage", from), keyOf("garbage", to), LAZY);
}

async function deleteNoted(store: Store, generation: number): Promise<void> {
  const bytes = await getParts(store, "garbage", generation);
  if (bytes === undefined) return;
  const note = garbageSchema.safeParse(tryDecodeJson(bytes));
  // A damaged note: its records stay, which only wastes space.
  if (!note.success) return;
  await deleteRecords(store, note.data);
}

/** Deletes records that no tree refers to. */
export async function deleteRecords(store: Store, garbage: Garbage): Promise<void> {
  for (const kind of ["pack", "page", "root"] as const)
    for (const run of runsOf(garbage[`${kind}s`])) await deleteNumbers(store, kind, run);
}

interface Run {
  first: number;
  last: number;
}

/** Joins numbers that follow each other. A large file has hundreds of packs, with one number after the other. */
function runsOf(numbers: readonly number[]): Run[] {
  const runs: Run[] = [];
  for (const number of numbers.toSorted((one, other) => one - other)) {
    const run = runs.at(-1);
    if (run !== undefined && number <= run.last + 1) run.last = number;
    else runs.push({ first: number, last: number });
  }
  return runs;
}

async function deleteNumbers(
  store: Store,
  kind: "pack" | "page" | "root" | "garbage",
  { first, last }: Run,
): Promise<void> {
  await store.deleteRange(keyOf(kind, first), keyOf(kind, last + 1), LAZY);
}

/** Deletes records that a server wrote before it died without a commit: numbers after those of the head. */
export async function deleteOrphans(
  store: Store,
  { nextPack, nextPage, nextRoot }: Numbering,
): Promise<void> {
  const kinds = [
    ["pack", nextPack],
    ["page", nextPage],
    ["root", nextRoot],
  ] as const;
  const deleted = kinds.map(([kind, number]) =>
    store.deleteRange(keyOf(kind, number), `${prefixOf(kind)}~`, LAZY),
  );
  for (const each of await Promise.allSettled(deleted)) if (each.status === "rejected") throw each.reason;
}
