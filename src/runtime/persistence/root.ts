import { z } from "zod";
import { decodeJson, encodeJson, type Store, type StoreEntry } from "../store.ts";
import { Damage, decodeBlock, encodeBlock, getParts, partsOf } from "./codec.ts";
import { decodeEntries, type Entry } from "./entries.ts";

const integer = z.int().nonnegative();

const rootSchema = z.object({
  /** Number, checksum and first path of each page, in the order of the tree. */
  pages: z.array(z.tuple([integer, z.string(), z.string()])),
  /** Number of each pack, its unpacked bytes, and how many of them the tree uses. */
  packs: z.array(z.tuple([integer, integer, integer])),
  files: integer,
  bytes: integer,
});

/** A whole tree: its pages, and the packs that these refer to. */
export type RootRecord = z.infer<typeof rootSchema>;

export const EMPTY_ROOT: RootRecord = { pages: [], packs: [], files: 0, bytes: 0 };

export async function encodeRoot(number: number, root: RootRecord): Promise<StoreEntry[]> {
  return partsOf("root", number, await encodeBlock(encodeJson(root)));
}

/** @throws Damage where it is missing or corrupt. */
export async function loadRoot(store: Store, number: number): Promise<RootRecord> {
  const block = await getParts(store, "root", number);
  if (block === undefined) throw new Damage(`root ${number} is missing`);
  const root = rootSchema.safeParse(decodeJson(await decodeBlock(block)));
  if (!root.success) throw new Damage(`root ${number} has an unknown form`);
  return root.data;
}

/** @throws Damage where it is missing or corrupt. */
export async function loadPage(store: Store, number: number): Promise<Entry[]> {
  const block = await getParts(store, "page", number);
  if (block === undefined) throw new Damage(`page ${number} is missing`);
  return decodeEntries(await decodeBlock(block));
}
