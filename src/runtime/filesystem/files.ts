import { AgentVmError } from "../../api/errors.ts";
import type {
  BatchReadResult,
  BatchWriteEntry,
  BatchWriteResult,
  DirEntry,
  FileMethods,
  ReaddirRecursiveOptions,
  RecursiveOption,
  VirtualStat,
} from "../../api/methods/files.ts";
import type { Bytes } from "../../api/values.ts";
import { toBytes } from "../../base/bytes.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { codeOf, readOnlyPath } from "../sandbox/posix.ts";
import { moveAcross, remove } from "./copy.ts";
import { type FileChanges, type TreeChange, unstoredChanges } from "./file-changes.ts";
import { listNames, listTree } from "./listing.ts";
import { isDirectory, makeDirectories, makeDirectory, withParents } from "./parents.ts";
import { checkPath, checkWritablePath, isReadOnly } from "./paths.ts";
import { ResultBudget, readWithin } from "./result-budget.ts";

interface FilesOptions {
  /** Maximum bytes of a result. Larger ones are refused with `response_too_large`. @default Infinity */
  maxResultBytes?: number;
  /** Makes and stores every change. @default the changes are not stored */
  changes?: FileChanges;
}

const IN_PIECES = "Read it with `readFile` of agent-vm's client, which takes files of any size.";
const FEWER_FILES = "Read fewer files at a time, and each large file with `readFile`.";
const LIST_INSIDE = "List it inside the VM with exec, and return only the names you need.";
const LIST_LESS = "List its directories one by one, or list less with `maxDepth` and `exclude`.";

/** Error codes of stat for a path that does not or cannot exist. */
const MISSING = ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"];

/**
 * File methods on top of any FileSystem.
 *
 * @example
 * const files = new Files(sandbox.files);
 * await files.writeFile("/workspace/src/main.ts", "export {};\n");
 */
export class Files implements FileMethods {
  readonly #fs: FileSystem;
  readonly #maxResultBytes: number;
  readonly #changes: FileChanges;

  constructor(fs: FileSystem, options: FilesOptions = {}) {
    this.#fs = fs;
    this.#maxResultBytes = options.maxResultBytes ?? Number.POSITIVE_INFINITY;
    this.#changes = options.changes ?? unstoredChanges;
  }

  async readFile(path: string): Promise<Uint8Array> {
    checkPath(path, "open");
    return readWithin(this.#fs, path, this.#budget("readFile", IN_PIECES));
  }

  async writeFile(path: string, content: Bytes): Promise<void> {
    const { durable } = await this.#write(path, content);
    await durable;
  }

  async readFiles(paths: string[]): Promise<BatchReadResult[]> {
    const budget = this.#budget("readFiles", FEWER_FILES);
    const results: BatchReadResult[] = [];
    for (const path of paths) {
      const result = await this.#readEntry(path, budget);
      // readWithin has already counted the content.
      budget.add({ ...result, content: null });
      results.push(result);
    }
    return results;
  }

  async writeFiles(entries: BatchWriteEntry[]): Promise<BatchWriteResult[]> {
    const results: BatchWriteResult[] = [];
    const storing: Promise<void>[] = [];
    for (const [index, { path, content }] of entries.entries()) {
      const fail = (error: unknown) => {
        results[index] = { path, success: false, error: entryError(error) };
      };
      try {
        const { durable } = await this.#write(path, content);
        results[index] = { path, success: true };
        // Not awaited here, so that the entries are stored together.
        storing.push(durable.catch(fail));
      } catch (error) {
        fail(error);
      }
    }
    await Promise.all(storing);
    return results;
  }

  async stat(path: string): Promise<VirtualStat> {
    checkPath(path, "stat");
    try {
      return await this.#fs.stat(path);
    } catch (error) {
      const link = codeOf(error) === "ENOENT" ? await this.#danglingLink(path) : null;
      if (link === null) throw error;
      return link;
    }
  }

  async lstat(path: string): Promise<VirtualStat> {
    checkPath(path, "lstat");
    return this.#fs.lstat(path);
  }

  async exists(path: string): Promise<boolean> {
    try {
      checkPath(path, "stat");
      await this.#fs.stat(path);
      return true;
    } catch (error) {
      if (MISSING.includes(codeOf(error) ?? "")) return false;
      throw error;
    }
  }

  async mkdir(path: string, { recursive = false }: RecursiveOption = {}): Promise<void> {
    checkPath(path, "mkdir");
    if (isReadOnly(path)) {
      if (await isDirectory(this.#fs, path)) return;
      throw readOnlyPath(path);
    }
    const make = recursive ? makeDirectories : makeDirectory;
    await this.#change({ action: "mkdir", path, recursive }, () => make(this.#fs, path));
  }

  async readdir(path: string): Promise<string[]> {
    checkPath(path, "scandir");
    return listNames(this.#fs, path, this.#budget("readdir", LIST_INSIDE));
  }

  async readdirRecursive(path: string, options: ReaddirRecursiveOptions = {}): Promise<DirEntry[]> {
    checkPath(path, "scandir");
    return listTree(this.#fs, path, options, this.#budget("readdirRecursive", LIST_LESS));
  }

  async move(from: string, to: string): Promise<void> {
    checkWritablePath(from, "rename", "from");
    checkWritablePath(to, "rename", "to");
    await this.#change({ action: "move", from, to }, async () => {
      try {
        await this.#fs.rename(from, to);
      } catch (error) {
        if (codeOf(error) !== "EXDEV") throw error;
        await moveAcross(this.#fs, from, to);
      }
    });
  }

  async delete(path: string, { recursive = false }: RecursiveOption = {}): Promise<void> {
    checkWritablePath(path, "unlink");
    await this.#change({ action: "delete", path, recursive }, () => remove(this.#fs, path, { recursive }));
  }

  async deleteFile(path: string, options: RecursiveOption = {}): Promise<void> {
    await this.delete(path, options);
  }

  async #change(change: TreeChange, work: () => Promise<void>): Promise<void> {
    const { durable } = await this.#make(change, work);
    await durable;
  }

  /**
   * Makes a change. The VM does not keep files of its mounts: a restart that repeated the change would write to them again, or
   * below them.
   */
  async #make(change: TreeChange, work: () => Promise<void>): Promise<{ durable: Promise<void> }> {
    const paths = change.action === "move" ? [change.from, change.to] : [change.path];
    const options = { follow: change.action === "write" };
    const mounts = await Promise.all(paths.map((path) => this.#fs.mountOf(path, options)));
    if (mounts.every((mount) => mount === undefined)) return await this.#changes(change, work);
    if (mounts.every((mount) => mount?.kept === false)) return await unstoredChanges(change, work);
    return await this.#changes(change, work, { isReplayable: false });
  }

  async #write(path: string, content: Bytes): Promise<{ durable: Promise<void> }> {
    checkWritablePath(path, "open");
    const bytes = toBytes(content);
    return await this.#make({ action: "write", path, content: bytes }, () =>
      withParents(this.#fs, path, () => this.#fs.writeFile(path, bytes)),
    );
  }

  async #readEntry(path: string, budget: ResultBudget): Promise<BatchReadResult> {
    try {
      checkPath(path, "open");
      return { path, content: await readWithin(this.#fs, path, budget) };
    } catch (error) {
      return { path, content: null, error: entryError(error) };
    }
  }

  /** Returns the link itself if the path is a dangling symlink, else `null`. */
  async #danglingLink(path: string): Promise<VirtualStat | null> {
    try {
      const link = await this.#fs.lstat(path);
      return link.isSymbolicLink ? link : null;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return null;
      throw error;
    }
  }

  #budget(action: string, instead: string): ResultBudget {
    return new ResultBudget(action, this.#maxResultBytes, instead);
  }
}

/** Returns the error message of one batch entry. Rethrows errors that end the whole call. */
export function entryError(error: unknown): string {
  if (!(error instanceof AgentVmError) || error.code === "vm_stopped") throw error;
  return error.message;
}
