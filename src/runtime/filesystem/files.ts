import type { FileMethods } from "../../api/actions.ts";
import { AgentVmError } from "../../api/errors.ts";
import type {
  BatchReadResult,
  BatchWriteEntry,
  BatchWriteResult,
  Bytes,
  DirEntry,
  ReaddirRecursiveOptions,
  RecursiveOption,
  VirtualStat,
} from "../../api/types.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { codeOf, readOnlyPath } from "../sandbox/posix.ts";
import { moveAcross } from "./copy.ts";
import { listNames, listTree } from "./listing.ts";
import { isDirectory, makeDirectories, makeDirectory, withParents } from "./parents.ts";
import { checkPath, checkWritablePath, isReadOnly } from "./paths.ts";
import { readWithin } from "./reading.ts";
import { remove } from "./removal.ts";
import { ResultBudget } from "./result-budget.ts";

export interface FilesOptions {
  /** Results above this size are refused as response_too_large. @default Infinity */
  maxResultBytes?: number;
}

const IN_PIECES =
  "Read it with beginFileRead and readFileChunk, as readFile of this package's client does by itself.";
const FEWER_FILES = "Read fewer files at a time, or large ones with beginFileRead.";
const BY_COMMAND = "List it inside the VM, with exec, and keep what you need.";
const IN_PARTS = "List its directories one by one, or less of it with `maxDepth` and `exclude`.";

/** What stat answers where nothing is, or nothing can be. */
const MISSING = ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"];

/**
 * The file actions, over any FileSystem.
 *
 * @example
 * const files = new Files(sandbox.files);
 * await files.writeFile("/workspace/src/main.ts", "export {};\n");
 */
export class Files implements FileMethods {
  readonly #fs: FileSystem;
  readonly #maxResultBytes: number;

  constructor(fs: FileSystem, options: FilesOptions = {}) {
    this.#fs = fs;
    this.#maxResultBytes = options.maxResultBytes ?? Number.POSITIVE_INFINITY;
  }

  async readFile(path: string): Promise<Uint8Array> {
    checkPath(path, "open");
    return readWithin(this.#fs, path, this.#budget("readFile", IN_PIECES));
  }

  async writeFile(path: string, content: Bytes): Promise<void> {
    checkWritablePath(path, "open");
    const data = typeof content === "string" ? Buffer.from(content, "utf8") : content;
    await withParents(this.#fs, path, () => this.#fs.writeFile(path, data));
  }

  async readFiles(paths: string[]): Promise<BatchReadResult[]> {
    const budget = this.#budget("readFiles", FEWER_FILES);
    const results: BatchReadResult[] = [];
    for (const path of paths) {
      const result = await this.#readEntry(path, budget);
      // The content has been counted as it was read.
      budget.add({ ...result, content: null });
      results.push(result);
    }
    return results;
  }

  async writeFiles(entries: BatchWriteEntry[]): Promise<BatchWriteResult[]> {
    const results: BatchWriteResult[] = [];
    for (const { path, content } of entries) {
      try {
        await this.writeFile(path, content);
        results.push({ path, success: true });
      } catch (error) {
        results.push({ path, success: false, error: entryError(error) });
      }
    }
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
    await (recursive ? makeDirectories(this.#fs, path) : makeDirectory(this.#fs, path));
  }

  async readdir(path: string): Promise<string[]> {
    checkPath(path, "scandir");
    return listNames(this.#fs, path, this.#budget("readdir", BY_COMMAND));
  }

  async readdirRecursive(path: string, options: ReaddirRecursiveOptions = {}): Promise<DirEntry[]> {
    checkPath(path, "scandir");
    return listTree(this.#fs, path, options, this.#budget("readdirRecursive", IN_PARTS));
  }

  async move(from: string, to: string): Promise<void> {
    checkWritablePath(from, "rename", "from");
    checkWritablePath(to, "rename", "to");
    try {
      await this.#fs.rename(from, to);
    } catch (error) {
      if (codeOf(error) !== "EXDEV") throw error;
      await moveAcross(this.#fs, from, to);
    }
  }

  async delete(path: string, { recursive = false }: RecursiveOption = {}): Promise<void> {
    checkWritablePath(path, "unlink");
    await remove(this.#fs, path, recursive);
  }

  async deleteFile(path: string, options: RecursiveOption = {}): Promise<void> {
    await this.delete(path, options);
  }

  async #readEntry(path: string, budget: ResultBudget): Promise<BatchReadResult> {
    try {
      checkPath(path, "open");
      return { path, content: await readWithin(this.#fs, path, budget) };
    } catch (error) {
      return { path, content: null, error: entryError(error) };
    }
  }

  /** The link itself, where stat(2) found nothing because the link leads nowhere. */
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

/** What one entry of a batch reports. What ends the whole call is thrown. */
export function entryError(error: unknown): string {
  if (!(error instanceof AgentVmError) || error.code === "vm_stopped") throw error;
  return error.message;
}
