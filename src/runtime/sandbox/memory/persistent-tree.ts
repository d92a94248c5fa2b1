import type { VirtualStat } from "../../../api/types.ts";
import type { FileSystem } from "../files.ts";
import type {
  AttributesFound,
  NodeMetadata,
  PersistentTree,
  TreeFile,
  TreeNode,
} from "../persistent-tree.ts";
import { codeOf, posixError } from "../posix.ts";

const MODE_BITS = 0o7777;

/** Nothing runs in a memory VM, so that its own file actions are all that a checkpoint needs. */
export class MemoryPersistentTree implements PersistentTree {
  readonly #fs: FileSystem;

  constructor(fs: FileSystem) {
    this.#fs = fs;
  }

  async list(path: string): Promise<TreeNode[]> {
    const { dev } = await this.#fs.lstat(path);
    const nodes: TreeNode[] = [];
    for (const { name, type } of await this.#fs.readdir(path)) {
      const stats = await this.#fs.lstat(path === "/" ? `/${name}` : `${path}/${name}`);
      if (stats.dev === dev) nodes.push(describe(name, type, stats));
    }
    return nodes;
  }

  async stat(path: string): Promise<TreeNode | undefined> {
    try {
      const stats = await this.#fs.lstat(path);
      const type = stats.isDirectory ? "directory" : stats.isSymbolicLink ? "symlink" : "file";
      return describe(path.slice(path.lastIndexOf("/") + 1), type, stats);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  readlink(path: string): Promise<string> {
    return this.#fs.readlink(path);
  }

  async open(path: string, ino: number): Promise<TreeFile | undefined> {
    try {
      const stats = await this.#fs.lstat(path);
      if (stats.ino !== ino || stats.isDirectory || stats.isSymbolicLink) return undefined;
      const reader = await this.#fs.openReader(path);
      return {
        stat: () => describe("", "file", stats),
        read: async (target, offset) => {
          const content = await reader.read(offset, target.length);
          target.set(content);
          return content.length;
        },
        close: () => reader.close(),
      };
    } catch (error) {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
      throw error;
    }
  }

  async makeDirectory(path: string, mode: number): Promise<void> {
    try {
      await this.#fs.mkdir(path);
    } catch (error) {
      if (codeOf(error) !== "EEXIST" || !(await this.#fs.lstat(path)).isDirectory) throw error;
    }
    await this.#fs.chmod(path, mode);
  }

  async makeFile(
    path: string,
    { mode, mtimeMs }: NodeMetadata,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<TreeNode> {
    const writer = await this.#fs.openWriter(path);
    try {
      let offset = 0;
      for await (const piece of content) {
        await writer.write(offset, piece);
        offset += piece.length;
      }
      await writer.commit();
    } finally {
      await writer.close();
    }
    await this.#fs.chmod(path, mode);
    await this.#fs.utimes(path, mtimeMs, mtimeMs);
    return describe(path.slice(path.lastIndexOf("/") + 1), "file", await this.#fs.lstat(path));
  }

  makeSymlink(path: string, target: string): Promise<void> {
    return this.#fs.symlink(target, path);
  }

  /** A memory VM has no hard links; one that came from elsewhere becomes a file of its own. */
  async makeLink(existing: string, path: string): Promise<void> {
    const { mode, mtimeMs, isDirectory } = await this.#fs.lstat(existing);
    if (isDirectory) throw posixError("EINVAL", { syscall: "link", path: existing, destination: path });
    await this.makeFile(path, { mode: mode & MODE_BITS, mtimeMs }, [await this.#fs.readFile(existing)]);
  }

  async setMetadata(path: string, { mode, mtimeMs }: NodeMetadata): Promise<void> {
    await this.#fs.chmod(path, mode);
    await this.#fs.utimes(path, mtimeMs, mtimeMs);
  }

  /** A memory VM has no extended attributes. */
  async attributes(nodes: readonly unknown[]): Promise<AttributesFound[]> {
    return nodes.map(() => []);
  }

  async setAttributes(): Promise<void> {
    // Those that came from elsewhere are left out.
  }
}

function describe(name: string, type: TreeNode["type"], stats: VirtualStat): TreeNode {
  const { mode, size, mtimeMs, ctimeMs, ino, nlink } = stats;
  return { name, type, mode: mode & MODE_BITS, size, mtimeMs, ctimeMs, ino, nlink };
}
