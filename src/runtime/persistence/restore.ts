import type { FileSystem } from "../sandbox/files.ts";
import type { Attribute, PersistentTree } from "../sandbox/persistent-tree.ts";
import { codeOf } from "../sandbox/posix.ts";
import type { Store } from "../store.ts";
import type { Archive } from "./archive.ts";
import { Damage, storageDamaged } from "./codec.ts";
import { isSettled, type KnownContent } from "./contents.ts";
import type { Chunk, DirectoryEntry, Entry, FileEntry } from "./entries.ts";
import { PackReader } from "./packs.ts";
import type { RootRecord } from "./root.ts";
import { type Excludes, scanTree } from "./scan.ts";

/** Lost files that an error names. */
const MAX_TOLD_PATHS = 100;

/** Of files without content. */
const NO_PACK = -1;

/** Where restored files may still share a directory that the server could not otherwise write into. */
const OPEN_MODE = 0o700;

export interface RestoreOptions {
  /** Leave out files whose content is missing or corrupt, instead of failing. */
  allowMissing: boolean;
}

/**
 * Makes a fresh VM's tree what an archive has kept. Nothing runs in the VM yet.
 *
 * @returns how many files are lost
 * @throws AgentVmError `storage_damaged` where content is missing or corrupt, naming the files
 */
export async function restoreTree(
  archive: Archive,
  store: Store,
  files: FileSystem,
  isExcluded: Excludes,
  { allowMissing }: RestoreOptions,
): Promise<number> {
  const { root } = archive;
  const restoration = new Restoration(files.tree, new PackReader(store));
  await clearTree(files, await standing(archive, root), isExcluded);
  for await (const page of archive.entries(root)) {
    for (const entry of page) await restoration.make(entry);
  }
  await restoration.finish();
  const { lost } = restoration;
  if (lost.length > 0 && !allowMissing) {
    const shown = lost.slice(0, MAX_TOLD_PATHS);
    throw storageDamaged(`the content of ${lost.length} files is lost: ${shown.join(", ")}`, {
      files: shown,
      count: lost.length,
      hint: "restore({ allowMissing: true }) goes on without them.",
    });
  }
  archive.adopt(restoration.contents, restoration.chunks);
  return lost.length;
}

/** What of an archive may be in a fresh tree already: directories, and links with their targets. */
async function standing(archive: Archive, root: RootRecord): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const page of archive.entries(root)) {
    for (const entry of page) {
      if (entry.type === "directory") found.set(entry.path, DIRECTORY);
      if (entry.type === "symlink") found.set(entry.path, linkTo(entry.target));
    }
  }
  return found;
}

const DIRECTORY = "directory";
const linkTo = (target: string): string => `link to ${target}`;

/** Removes what a fresh tree has and the archive has not, and every file, since it is made anew. */
async function clearTree(
  files: FileSystem,
  kept: ReadonlyMap<string, string>,
  isExcluded: Excludes,
): Promise<void> {
  const { nodes } = await scanTree(files.tree, isExcluded);
  for (const { path, type } of nodes.reverse()) {
    if (type === "directory") {
      if (kept.get(path) !== DIRECTORY) await removeEmpty(files, path);
    } else if (type !== "symlink" || kept.get(path) !== linkTo(await files.tree.readlink(path))) {
      await files.unlink(path);
    }
  }
}

/** A directory in which something is mounted stays. */
async function removeEmpty(files: FileSystem, path: string): Promise<void> {
  try {
    await files.rmdir(path);
  } catch (error) {
    if (!["EBUSY", "ENOTEMPTY"].includes(codeOf(error) ?? "")) throw error;
  }
}

class Restoration {
  readonly contents = new Map<number, KnownContent>();
  readonly chunks = new Map<string, Chunk>();
  readonly lost: string[] = [];
  readonly #tree: PersistentTree;
  readonly #packs: PackReader;
  readonly #directories: DirectoryEntry[] = [];
  /** Files by the pack in which their content begins. */
  readonly #files = new Map<number, FileEntry[]>();
  readonly #firstNames = new Map<number, string>();
  readonly #attributes: { path: string; attributes: readonly Attribute[] }[] = [];

  constructor(tree: PersistentTree, packs: PackReader) {
    this.#tree = tree;
    this.#packs = packs;
  }

  /** Parents before children. Files are only noted. */
  async make(entry: Entry): Promise<void> {
    if (entry.type === "directory") {
      await this.#tree.makeDirectory(entry.path, entry.mode | OPEN_MODE);
      this.#directories.push(entry);
      this.#noteAttributes(entry);
    } else if (entry.type === "symlink") {
      // One that is there has the same target.
      const isThere = (await this.#tree.stat(entry.path)) !== undefined;
      if (!isThere) await this.#tree.makeSymlink(entry.path, entry.target);
    } else {
      const pack = entry.chunks[0]?.pack ?? NO_PACK;
      const files = this.#files.get(pack);
      if (files === undefined) this.#files.set(pack, [entry]);
      else files.push(entry);
    }
  }

  /**
   * Makes the files, pack by pack: those that lie beside each other in a tree that has grown with time are in packs of
   * many checkpoints, each of which would be unpacked time and again. Directories get their times last, the deepest first:
   * what is made in them changes these.
   */
  async finish(): Promise<void> {
    const packs = [...this.#files.keys()].sort((a, b) => a - b);
    for (const pack of packs) {
      for (const entry of this.#files.get(pack) ?? []) await this.#makeFile(entry);
      this.#files.delete(pack);
    }
    await this.#finishAttributes();
    for (const { path, mode, mtimeMs } of this.#directories.reverse()) {
      await this.#tree.setMetadata(path, { mode, mtimeMs });
    }
    const now = Date.now();
    for (const content of this.contents.values()) content.settled = isSettled(content.ctimeMs, now);
  }

  #noteAttributes({ path, attributes }: FileEntry | DirectoryEntry): void {
    if (attributes !== undefined) this.#attributes.push({ path, attributes });
  }

  /** All at once: each run of the program that sets them costs some milliseconds. */
  async #finishAttributes(): Promise<void> {
    await this.#tree.setAttributes(this.#attributes);
    for (const { path, attributes } of this.#attributes) {
      const node = await this.#tree.stat(path);
      const content = node && this.contents.get(node.ino);
      if (content !== undefined) Object.assign(content, { ctimeMs: node?.ctimeMs, attributes });
    }
  }

  async #makeFile(entry: FileEntry): Promise<void> {
    const { path, mode, mtimeMs, chunks, links } = entry;
    const first = links === undefined ? undefined : this.#firstNames.get(links);
    if (first !== undefined) {
      await this.#tree.makeLink(first, path);
      return;
    }
    try {
      // Asked for first, so that a file whose content is lost is not made in part.
      for (const chunk of chunks) await this.#packs.read(chunk);
      const node = await this.#tree.makeFile(path, { mode, mtimeMs }, this.#contentOf(chunks));
      const { size, ctimeMs } = node;
      this.contents.set(node.ino, {
        size,
        mtimeMs: node.mtimeMs,
        ctimeMs,
        chunks,
        settled: false,
        attributes: [],
      });
      this.#noteAttributes(entry);
      for (const chunk of chunks) this.chunks.set(chunk.hash, chunk);
      if (links !== undefined) this.#firstNames.set(links, path);
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      this.lost.push(path);
    }
  }

  async *#contentOf(chunks: readonly Chunk[]): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield await this.#packs.read(chunk);
  }
}
