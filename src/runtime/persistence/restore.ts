import { isPosixCode } from "../../api/error-codes.ts";
import { AgentVmError } from "../../api/errors.ts";
import type { Excludes } from "../filesystem/scan.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { SMALL_TREE_BYTES } from "../sandbox/limits.ts";
import type {
  Attribute,
  PersistentTree,
  TreeContent,
  TreeCursor,
  TreePlace,
} from "../sandbox/persistent-tree.ts";
import { PathWriter, pathOf, ROOT } from "../sandbox/tree-path.ts";
import { isHostLink } from "../sandbox/vm-layout.ts";
import { clearTree } from "./base-tree.ts";
import { Damage, storageDamaged } from "./codec.ts";
import { type Chunk, type DirectoryEntry, type FileEntry, isHole, type TreeEntry } from "./entries.ts";
import { KnownContents } from "./known-contents.ts";
import type { PackReader } from "./packs.ts";
import type { StoredTree } from "./root.ts";

/** Lost files that an error lists. */
const MAX_REPORTED_PATHS = 100;
const MAX_REASONS = 5;

/** Packs that are unpacked while the files of another are made. */
const PREFETCHED_PACKS = 2;

/** Memory of an entry while a tree is restored. */
const ENTRY_BYTES = 500;

/** Pack number of files without content. */
const NO_PACK = -1;

/** Mode of a directory until its files are restored: the server must be able to write into it. */
const OPEN_MODE = 0o700;

/** Mode of a directory whose entry is lost. */
const LOST_MODE = 0o755;

/** Restored content by inode, its chunks by hash, and what the base tree got back. */
export interface Restored {
  contents: KnownContents;
  chunks: Map<string, Chunk>;
  putBack: string[];
  /** The error if a part of the tree could not be restored. Its metadata lists the files. */
  damage?: AgentVmError | undefined;
}

/** Restores as much as possible of a stored tree into a VM that has just booted and runs nothing yet. */
export async function restoreTree(
  stored: StoredTree,
  files: FileSystem,
  isExcluded: Excludes,
): Promise<Restored> {
  const isLarge = stored.files * ENTRY_BYTES > SMALL_TREE_BYTES;
  const work = () => restore(stored, files, isExcluded);
  return await (isLarge ? files.tree.budget.inTurn(work) : work());
}

async function restore(stored: StoredTree, files: FileSystem, isExcluded: Excludes): Promise<Restored> {
  const putBack = await clearTree(files, stored, isExcluded);
  const cursor = files.tree.cursor();
  const restoration = new Restoration(files.tree, cursor, stored.packs);
  try {
    const lost = restoration.losses;
    for await (const page of stored.pages(undefined, (error) => lost.addPage(error))) {
      for (const entry of page) await restoration.make(entry);
    }
    await restoration.finish();
  } finally {
    await cursor.close();
  }
  const { losses, contents, chunks } = restoration;
  return { contents, chunks, putBack, damage: losses.error };
}

/** Parts of a tree that could not be restored. */
class Losses {
  readonly #files: string[] = [];
  #count = 0;
  /** Reasons other than lost content. */
  readonly #reasons = new Set<string>();
  hasPages = false;

  /** @param error `Damage` of the content, or the refusal of the VM's file system */
  add(place: TreePlace, error: unknown): void {
    const isRefusal = error instanceof AgentVmError && isPosixCode(error.code);
    if (!isRefusal && !(error instanceof Damage)) throw error;
    this.#count += 1;
    if (this.#files.length < MAX_REPORTED_PATHS) this.#files.push(pathOf(place));
    if (isRefusal && this.#reasons.size < MAX_REASONS) this.#reasons.add(error.message);
  }

  addPage({ message }: Error): void {
    this.hasPages = true;
    if (this.#reasons.size < MAX_REASONS) this.#reasons.add(message);
  }

  get error(): AgentVmError | undefined {
    const files = this.#files;
    const lost =
      this.#count === 0 ? [] : [`the content of ${this.#count} files is lost: ${files.join(", ")}`];
    const reasons = [...lost, ...this.#reasons];
    if (reasons.length === 0) return undefined;
    return storageDamaged(reasons.join("; "), { files, count: this.#count });
  }
}

class Restoration {
  readonly contents = new KnownContents();
  readonly chunks = new Map<string, Chunk>();
  readonly losses = new Losses();
  readonly #tree: PersistentTree;
  readonly #cursor: TreeCursor;
  readonly #packs: PackReader;
  readonly #directories: DirectoryEntry[] = [];
  /** Files by the pack in which their content begins. */
  readonly #files = new Map<number, FileEntry[]>();
  /** The last directory that was made although its entry is lost. */
  #madeLast: TreePlace | undefined;
  readonly #paths = new PathWriter();
  readonly #firstNames = new Map<number, TreePlace>();
  readonly #attributes: { place: TreePlace; attributes: readonly Attribute[] }[] = [];

  constructor(tree: PersistentTree, cursor: TreeCursor, packs: PackReader) {
    this.#tree = tree;
    this.#cursor = cursor;
    this.#packs = packs;
  }

  /** Makes a directory or link, and notes a file for `finish`. Call it for parents before children. */
  async make(entry: TreeEntry): Promise<void> {
    try {
      if (this.losses.hasPages) await this.#makeParents(entry.place.parent);
      await this.#make(entry);
    } catch (error) {
      this.losses.add(entry.place, error);
    }
  }

  /** Makes directories whose entries are lost. */
  async #makeParents(directory: TreePlace | null): Promise<void> {
    if (directory === null || directory.depth === 0 || this.#madeLast === directory) return;
    await this.#makeParents(directory.parent);
    await this.#cursor.makeDirectory(directory, LOST_MODE);
    this.#madeLast = directory;
  }

  async #make(entry: TreeEntry): Promise<void> {
    if (entry.type === "directory") {
      await this.#cursor.makeDirectory(entry.place, entry.mode | OPEN_MODE);
      this.#directories.push(entry);
      this.#noteAttributes(entry);
    } else if (entry.type === "symlink") {
      // A link that exists has the stored target: `clearTree` has removed all others.
      const { place, target } = entry;
      const isThere = (await this.#cursor.stat(place)) !== undefined;
      // A link to configuration that the host no longer has would lead nowhere.
      if (!isThere && !isHostLink(this.#paths.pathOf(place), target))
        await this.#cursor.makeSymlink(place, target);
    } else {
      const pack = entry.chunks.find((chunk) => !isHole(chunk))?.pack ?? NO_PACK;
      const files = this.#files.get(pack);
      // A file without content needs no pack.
      if (pack === NO_PACK) await this.#makeFile(entry);
      else if (files === undefined) this.#files.set(pack, [entry]);
      else files.push(entry);
    }
  }

  /**
   * Makes the files pack by pack. In the order of the tree, neighbours may be in packs of many checkpoints, and each pack
   * would be unpacked many times. Directories get their times last, deepest first: new entries change these times.
   */
  async finish(): Promise<void> {
    const packs = [...this.#files.keys()].sort((a, b) => a - b);
    for (const [index, pack] of packs.entries()) {
      // Other threads unpack the next packs meanwhile.
      for (const next of packs.slice(index + 1, index + 1 + PREFETCHED_PACKS)) this.#packs.prefetch(next);
      for (const entry of this.#files.get(pack) ?? []) await this.#makeFile(entry);
      await this.#packs.release(pack);
      this.#files.delete(pack);
    }
    await this.#finishAttributes();
    for (const { place, mode, mtimeMs } of this.#directories.reverse()) {
      await this.#cursor.setMetadata(place, { mode, mtimeMs });
    }
    this.contents.settle(Date.now());
  }

  #noteAttributes({ place, attributes }: FileEntry | DirectoryEntry): void {
    if (attributes !== undefined) this.#attributes.push({ place, attributes });
  }

  /** Sets all attributes at once: each run of the helper program costs some milliseconds. */
  async #finishAttributes(): Promise<void> {
    try {
      await this.#tree.setAttributes(this.#attributes);
    } catch (error) {
      this.losses.add(ROOT, error);
    }
    for (const { place, attributes } of this.#attributes) {
      const node = await this.#cursor.stat(place);
      if (node === undefined) continue;
      const content = this.contents.get(node.ino);
      if (content !== undefined)
        this.contents.set(node.ino, { ...content, ctimeMs: node.ctimeMs, attributes });
    }
  }

  async #makeFile(entry: FileEntry): Promise<void> {
    const { place, mode, mtimeMs, chunks, links } = entry;
    const first = links === undefined ? undefined : this.#firstNames.get(links);
    if (first !== undefined) {
      await this.#cursor.makeLink(first, place);
      return;
    }
    try {
      const [only] = chunks;
      let content: TreeContent = this.#packs.contentOf(chunks);
      if (only !== undefined && chunks.length === 1) content = [await this.#packs.piece(only)];
      // Reads all chunks first, so that a file with lost content is not made in part.
      else for (const chunk of chunks) if (!isHole(chunk)) await this.#packs.read(chunk);
      const node = await this.#cursor.makeFile(place, { mode, mtimeMs }, content);
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
      for (const chunk of chunks) if (!isHole(chunk)) this.chunks.set(chunk.hash, chunk);
      if (links !== undefined) this.#firstNames.set(links, place);
    } catch (error) {
      this.losses.add(place, error);
      // A part of a file would look like the file.
      await this.#cursor.remove(place).catch(() => undefined);
    }
  }
}
