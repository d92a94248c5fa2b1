import { basename } from "node:path/posix";
import type { FileSystem } from "../files.ts";
import {
  type AttributesFound,
  type Inodes,
  MODE_BITS,
  type NodeMetadata,
  type PersistentTree,
  type TreeContent,
  type TreeCursor,
  type TreeFile,
  type TreeNode,
  treeNode,
} from "../persistent-tree.ts";
import { codeOf, posixError } from "../posix.ts";
import { TreeBudget } from "../tree-budget.ts";
import { PathWriter } from "../tree-path.ts";

const ZEROS = new Uint8Array(64 * 1024);

/** A memory VM's files for checkpoints. No process changes them, so the file actions are enough to read them. */
export class MemoryPersistentTree implements PersistentTree {
  readonly budget = new TreeBudget();
  readonly #fs: FileSystem;

  constructor(fs: FileSystem) {
    this.#fs = fs;
  }

  cursor(): TreeCursor {
    const paths = new PathWriter();
    return {
      visit: (directory, each) => this.#visit(paths.pathOf(directory), each),
      stat: (place) => this.stat(paths.pathOf(place)),
      readlink: (place) => this.readlink(paths.pathOf(place)),
      open: (place, ino) => this.#open(paths.pathOf(place), ino),
      makeDirectory: (place, mode) => this.makeDirectory(paths.pathOf(place), mode),
      makeFile: (place, metadata, content) => this.makeFile(paths.pathOf(place), metadata, content),
      makeSymlink: (place, target) => this.makeSymlink(paths.pathOf(place), target),
      makeLink: (existing, place) => this.makeLink(paths.pathOf(existing), paths.pathOf(place)),
      setMetadata: (place, metadata) => this.setMetadata(paths.pathOf(place), metadata),
      rename: (place, name) => this.#fs.rename(paths.pathOf(place), paths.pathOf({ ...place, name })),
      remove: (place) => this.#remove(paths.pathOf(place)),
      close: async () => undefined,
    };
  }

  async list(path: string): Promise<TreeNode[]> {
    const nodes: TreeNode[] = [];
    await this.#visit(path, (node) => nodes.push(node));
    return nodes;
  }

  async #visit(path: string, each: (node: TreeNode) => void): Promise<void> {
    const { dev } = await this.#fs.lstat(path);
    for (const { name, type } of await this.#fs.readdir(path)) {
      const stats = await this.#fs.lstat(path === "/" ? `/${name}` : `${path}/${name}`);
      if (stats.dev === dev) each(treeNode(name, type, stats));
    }
  }

  async stat(path: string): Promise<TreeNode | undefined> {
    try {
      const stats = await this.#fs.lstat(path);
      const type = stats.isDirectory ? "directory" : stats.isSymbolicLink ? "symlink" : "file";
      return treeNode(basename(path), type, stats);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  readlink(path: string): Promise<string> {
    return this.#fs.readlink(path);
  }

  async makeDirectory(path: string, mode: number): Promise<void> {
    try {
      await this.#fs.mkdir(path);
    } catch (error) {
      if (codeOf(error) !== "EEXIST" || !(await this.#fs.lstat(path)).isDirectory) throw error;
    }
    await this.#fs.chmod(path, mode);
  }

  async makeFile(path: string, { mode, mtimeMs }: NodeMetadata, content: TreeContent): Promise<TreeNode> {
    const writer = await this.#fs.openWriter(path);
    try {
      let offset = 0;
      for await (const piece of content) {
        // A memory VM has no holes. Its quota bounds their zeros.
        const length = "hole" in piece ? piece.hole : piece.length;
        for (const end = offset + length; offset < end; ) {
          const part = "hole" in piece ? ZEROS.subarray(0, Math.min(ZEROS.length, end - offset)) : piece;
          await writer.write(offset, part);
          offset += part.length;
        }
      }
      await writer.commit();
    } finally {
      await writer.close();
    }
    await this.#fs.chmod(path, mode);
    await this.#fs.utimes(path, mtimeMs, mtimeMs);
    return treeNode(basename(path), "file", await this.#fs.lstat(path));
  }

  makeSymlink(path: string, target: string): Promise<void> {
    return this.#fs.symlink(target, path);
  }

  /** Copies the file: a memory VM has no hard links. */
  async makeLink(existing: string, path: string): Promise<void> {
    const { mode, mtimeMs, isDirectory } = await this.#fs.lstat(existing);
    if (isDirectory) throw posixError("EINVAL", { syscall: "link", path: existing, destination: path });
    await this.makeFile(path, { mode: mode & MODE_BITS, mtimeMs }, [await this.#fs.readFile(existing)]);
  }

  async setMetadata(path: string, { mode, mtimeMs }: NodeMetadata): Promise<void> {
    await this.#fs.chmod(path, mode);
    await this.#fs.utimes(path, mtimeMs, mtimeMs);
  }

  async #remove(path: string): Promise<void> {
    try {
      await this.#fs.unlink(path);
    } catch (error) {
      if (codeOf(error) !== "EISDIR") throw error;
      await this.#fs.removeTree(path);
    }
  }

  async #open(path: string, ino: number): Promise<TreeFile | undefined> {
    try {
      const stats = await this.#fs.lstat(path);
      if (stats.ino !== ino || stats.isDirectory || stats.isSymbolicLink) return undefined;
      const reader = await this.#fs.openReader(path);
      return {
        stat: () => treeNode("", "file", stats),
        read: async (target, offset) => {
          const content = await reader.read(offset, target.length);
          target.set(content);
          return content.length;
        },
        parts: async (from) => [{ start: from, end: stats.size }],
        close: () => reader.close(),
      };
    } catch (error) {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
      throw error;
    }
  }

  /** A memory VM has no extended attributes. */
  async *attributes({ length }: Inodes): AsyncGenerator<AttributesFound> {
    for (let count = 0; count < length; count++) yield [];
  }

  async setAttributes(): Promise<void> {
    // A memory VM drops the attributes of a checkpoint from a kernel VM.
  }
}
