import type { UndoResult } from "../../api/types.ts";
import { entryError, Files } from "../filesystem/files.ts";
import { checkWritablePath } from "../filesystem/paths.ts";
import type { FileSystem } from "../sandbox/files.ts";
import type { TreeNode } from "../sandbox/persistent-tree.ts";
import { codeOf } from "../sandbox/posix.ts";
import type { Store } from "../store.ts";
import { Damage, storageDamaged } from "./codec.ts";
import type { Entry, FileEntry } from "./entries.ts";
import { PackReader } from "./packs.ts";

/**
 * Puts paths back as they were in a tree, each with all below it: what was there comes back, what was not goes.
 *
 * @returns one result a path, in order; it never rejects for one of them
 */
export async function undoPaths(
  paths: readonly string[],
  tree: AsyncIterable<Entry[]>,
  files: FileSystem,
  store: Store,
): Promise<UndoResult[]> {
  const wanted = new Map<string, Entry[]>(paths.map((path) => [path, []]));
  for await (const page of tree) {
    for (const entry of page) {
      for (const [path, found] of wanted) if (isWithin(entry.path, path)) found.push(entry);
    }
  }
  const undoing = new Undoing(files, new PackReader(store));
  const results: UndoResult[] = [];
  for (const path of paths) {
    try {
      checkWritablePath(path, "open");
      results.push({ path, restored: await undoing.undo(path, wanted.get(path) ?? []) });
    } catch (error) {
      results.push({ path, restored: 0, error: entryError(error) });
    }
  }
  return results;
}

function isWithin(path: string, top: string): boolean {
  return path === top || path.startsWith(top === "/" ? "/" : `${top}/`);
}

class Undoing {
  readonly #fs: FileSystem;
  readonly #files: Files;
  readonly #packs: PackReader;

  constructor(fs: FileSystem, packs: PackReader) {
    this.#fs = fs;
    this.#files = new Files(fs);
    this.#packs = packs;
  }

  /** @returns how many files, directories and links have come back */
  async undo(path: string, entries: readonly Entry[]): Promise<number> {
    const kept = new Set(entries.map((entry) => entry.path));
    await this.#removeOthers(path, kept);
    const parent = path.slice(0, path.lastIndexOf("/"));
    if (entries.length > 0 && parent !== "") await this.#files.mkdir(parent, { recursive: true });
    for (const entry of entries) await this.#putBack(entry);
    await this.#fs.tree.setAttributes(
      entries.flatMap((entry) =>
        entry.type === "symlink" ? [] : [{ path: entry.path, attributes: entry.attributes ?? [] }],
      ),
    );
    for (const entry of [...entries].reverse()) {
      if (entry.type === "directory") await this.#fs.tree.setMetadata(entry.path, entry);
    }
    return entries.length;
  }

  /** Removes what was not there, deepest first. */
  async #removeOthers(path: string, kept: ReadonlySet<string>): Promise<void> {
    const node = await this.#look(path);
    if (node === undefined) return;
    if (!kept.has(path)) {
      await this.#files.delete(path, { recursive: true });
      return;
    }
    if (node.type !== "directory") return;
    for (const { name } of await this.#fs.tree.list(path)) await this.#removeOthers(`${path}/${name}`, kept);
  }

  async #look(path: string): Promise<TreeNode | undefined> {
    try {
      return await this.#fs.tree.stat(path);
    } catch (error) {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
      throw error;
    }
  }

  async #putBack(entry: Entry): Promise<void> {
    const { path } = entry;
    const node = await this.#look(path);
    if (node !== undefined && node.type !== entry.type) await this.#files.delete(path, { recursive: true });
    if (entry.type === "directory") await this.#fs.tree.makeDirectory(path, entry.mode);
    else if (entry.type === "symlink") await this.#putLink(path, entry.target);
    else await this.#putFile(entry);
  }

  async #putLink(path: string, target: string): Promise<void> {
    try {
      await this.#fs.unlink(path);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
    await this.#fs.tree.makeSymlink(path, target);
  }

  /** In one step, as with writeFile. */
  async #putFile({ path, mode, mtimeMs, chunks }: FileEntry): Promise<void> {
    const writer = await this.#fs.openWriter(path);
    try {
      let offset = 0;
      for (const chunk of chunks) {
        const piece = await this.#packs.read(chunk);
        await writer.write(offset, piece);
        offset += piece.length;
      }
      await writer.commit();
    } catch (error) {
      if (error instanceof Damage) throw storageDamaged(`the content of ${path} is lost`, { files: [path] });
      throw error;
    } finally {
      await writer.close();
    }
    await this.#fs.tree.setMetadata(path, { mode, mtimeMs });
  }
}
