import type { UndoResult } from "../../api/methods/snapshot-types.ts";
import { entryError, Files } from "../filesystem/files.ts";
import { checkWritablePath, parentPath } from "../filesystem/paths.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { temporaryName } from "../sandbox/names.ts";
import type { TreeCursor, TreePlace } from "../sandbox/persistent-tree.ts";
import { codeOf } from "../sandbox/posix.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import { PlaceIndex, pathOf, placeIn } from "../sandbox/tree-path.ts";
import { Damage, storageDamaged } from "./codec.ts";
import { entryMemory, type FileEntry, type TreeEntry } from "./entries.ts";
import type { PackReader } from "./packs.ts";
import type { StoredTree } from "./root.ts";

/** Memory of a place without its name. */
const PLACE_BYTES = 160;

/** A path to restore: its place, and the entries at it and below it. */
interface Wanted {
  path: string;
  place: TreePlace;
  entries: TreeEntry[];
}

/**
 * Restores paths, each with everything below it, to their state in a stored tree. Entries that the tree lacks are deleted.
 *
 * @returns a result for each path, in order. A path that fails has an `error`.
 */
export async function undoPaths(
  paths: readonly string[],
  tree: StoredTree,
  files: FileSystem,
): Promise<UndoResult[]> {
  const account = files.tree.budget.open();
  const cursor = files.tree.cursor();
  try {
    const undoing = new Undoing(files, cursor, tree.packs);
    const results: UndoResult[] = [];
    const found = await files.tree.budget.read(account, () => entriesWithin(paths, tree, account));
    for (const { path, ...wanted } of found) {
      try {
        checkWritablePath(path, "open");
        results.push({ path, restored: await undoing.undo({ path, ...wanted }) });
      } catch (error) {
        results.push({ path, restored: 0, error: entryError(error) });
      }
    }
    return results;
  } finally {
    account.close();
    await cursor.close();
  }
}

async function entriesWithin(
  paths: readonly string[],
  tree: StoredTree,
  account: TreeAccount,
): Promise<Wanted[]> {
  const steps = new PlaceIndex();
  const found = paths.map((path) => {
    const place = steps.find(path);
    return { path, place, entries: [] as TreeEntry[], within: new Set<TreePlace | null>([place]) };
  });
  for await (const page of tree.pages(steps)) {
    for (const entry of page) {
      const { place } = entry;
      account.charge(PLACE_BYTES + 2 * place.name.length);
      for (const { within, entries } of found) {
        // A directory comes before its entries.
        if (!within.has(place) && !within.has(place.parent)) continue;
        account.charge(entryMemory(entry));
        entries.push(entry);
        if (entry.type === "directory") within.add(place);
      }
    }
  }
  return found;
}

class Undoing {
  readonly #fs: FileSystem;
  readonly #files: Files;
  readonly #cursor: TreeCursor;
  readonly #packs: PackReader;

  constructor(fs: FileSystem, cursor: TreeCursor, packs: PackReader) {
    this.#fs = fs;
    this.#files = new Files(fs);
    this.#cursor = cursor;
    this.#packs = packs;
  }

  /** @returns the number of files, directories and links that were restored */
  async undo({ path, place, entries }: Wanted): Promise<number> {
    await this.#removeOthers(place, entries);
    const parent = parentPath(path);
    if (entries.length > 0 && parent !== "/") await this.#files.mkdir(parent, { recursive: true });
    for (const entry of entries) await this.#putBack(entry);
    await this.#fs.tree.setAttributes(
      entries.flatMap((entry) =>
        entry.type === "symlink" ? [] : [{ place: entry.place, attributes: entry.attributes ?? [] }],
      ),
    );
    for (const entry of [...entries].reverse()) {
      if (entry.type === "directory") await this.#cursor.setMetadata(entry.place, entry);
    }
    return entries.length;
  }

  /** Deletes entries that the tree lacks. */
  async #removeOthers(top: TreePlace, entries: readonly TreeEntry[]): Promise<void> {
    const kept = new Map<TreePlace, Set<string>>();
    for (const { place, type } of entries) {
      if (place.parent !== null) kept.get(place.parent)?.add(place.name);
      if (type === "directory") kept.set(place, new Set());
    }
    if (entries.length === 0) await this.#remove(top);
    for (const [directory, names] of kept) {
      for (const name of await this.#othersIn(directory, names))
        await this.#cursor.remove(placeIn(directory, name));
    }
  }

  async #othersIn(directory: TreePlace, names: ReadonlySet<string>): Promise<string[]> {
    const others: string[] = [];
    try {
      if ((await this.#type(directory)) !== "directory") return [];
      await this.#cursor.visit(directory, ({ name }) => {
        if (!names.has(name)) others.push(name);
      });
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    return others;
  }

  async #type(place: TreePlace) {
    try {
      return (await this.#cursor.stat(place))?.type;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async #remove(place: TreePlace): Promise<void> {
    if ((await this.#type(place)) !== undefined) await this.#cursor.remove(place);
  }

  async #putBack(entry: TreeEntry): Promise<void> {
    const { place, type } = entry;
    const found = await this.#type(place);
    if (found !== undefined && (found !== type || type === "symlink")) await this.#cursor.remove(place);
    if (type === "directory") await this.#cursor.makeDirectory(place, entry.mode);
    else if (type === "symlink") await this.#cursor.makeSymlink(place, entry.target);
    else await this.#putFile(entry);
  }

  /** Replaces the file in one step, like `writeFile`. */
  async #putFile(entry: FileEntry): Promise<void> {
    const { place, chunks } = entry;
    const temporary = { ...place, name: temporaryName() };
    try {
      await this.#cursor.makeFile(temporary, entry, this.#packs.contentOf(chunks));
      await this.#cursor.rename(temporary, place.name);
    } catch (error) {
      await this.#remove(temporary);
      if (!(error instanceof Damage)) throw error;
      const path = pathOf(place);
      throw storageDamaged(`the content of ${path} is lost`, { files: [path] });
    }
  }
}

const isMissing = (error: unknown): boolean => ["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "");
