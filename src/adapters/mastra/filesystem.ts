import { posix } from "node:path";
import { AgentVmError } from "../../api/errors.ts";
import type { DirEntry } from "../../client/index.ts";
import { orNull } from "../shared/errors.ts";
import { type AdapterVm, HOME, Workplace } from "../shared/workplace.ts";
import type {
  MastraEntry,
  MastraErrors,
  MastraListOptions,
  MastraRemoveOptions,
  MastraStat,
  MastraWalkEntry,
  ProviderStatus,
} from "./mastra-types.ts";

/** Options of `mastraFilesystem`. */
export interface MastraFilesystemOptions {
  /** Names the file system. @default "agent-vm" */
  id?: string;
  /** Base directory of relative paths. @default "/home/agentos" */
  workingDirectory?: string;
}

/**
 * Makes the files of a VM the file system of a Mastra workspace (`@mastra/core` 1).
 *
 * @param vm handle or connection of `createClient()`
 * @param errors the module `@mastra/core/workspace`, whose classes the errors have
 * @param options id and base directory
 * @example
 * ```ts
 * import * as mastra from "@mastra/core/workspace";
 *
 * const workspace = new mastra.Workspace({ filesystem: mastraFilesystem(client.vm.getOrCreate("my-agent"), mastra) });
 * ```
 */
export function mastraFilesystem(
  vm: AdapterVm,
  errors: MastraErrors,
  options: MastraFilesystemOptions = {},
): VmFilesystem {
  return new VmFilesystem(vm, errors, options);
}

/** A call whose path should be a directory. */
const OF_DIRECTORY = { isDirectory: true };

/** Files of a VM. Relative paths resolve against the base directory. Made by `mastraFilesystem`. */
export class VmFilesystem {
  /** Names the file system. */
  readonly id: string;
  /** Name for people. */
  readonly name = "agent-vm";
  /** Kind of file system. */
  readonly provider = "agent-vm";
  /** Base directory. */
  readonly basePath: string;
  /** Always ready: a VM wakes when it is used. */
  status: ProviderStatus = "ready";
  readonly #vm: AdapterVm;
  readonly #errors: MastraErrors;
  readonly #place: Workplace;

  constructor(vm: AdapterVm, errors: MastraErrors, options: MastraFilesystemOptions) {
    this.#vm = vm;
    this.#errors = errors;
    this.#place = new Workplace(vm, options.workingDirectory ?? HOME);
    this.id = options.id ?? "agent-vm";
    this.basePath = this.#place.path;
  }

  /** Describes the paths for a model. */
  getInstructions(): string {
    return `Files of a Linux machine. Relative paths are below ${this.basePath}; absolute paths begin at the machine's root.`;
  }

  /** Returns the absolute path of a path. */
  resolveAbsolutePath(path: string): string {
    return this.#place.resolve(path);
  }

  /** Reads a file: bytes, or text in the given encoding. */
  async readFile(path: string, { encoding }: { encoding?: BufferEncoding } = {}): Promise<string | Buffer> {
    const bytes = Buffer.from(await this.#do("read", path, this.#vm.readFile(this.#place.resolve(path))));
    return encoding === undefined ? bytes : bytes.toString(encoding);
  }

  /** Writes a file, and makes missing parents unless `recursive` is `false`. */
  async writeFile(
    path: string,
    content: string | Uint8Array,
    options: { recursive?: boolean; overwrite?: boolean; expectedMtime?: Date } = {},
  ): Promise<void> {
    const { recursive = true, overwrite = true, expectedMtime } = options;
    const full = this.#place.resolve(path);
    const { FileExistsError, DirectoryNotFoundError, StaleFileError } = this.#errors;
    if (!overwrite && (await this.#vm.exists(full))) throw new FileExistsError(path);
    const parent = posix.dirname(full);
    if (!recursive && !(await this.#vm.exists(parent))) throw new DirectoryNotFoundError(posix.dirname(path));
    const stat = expectedMtime && (await orNull(this.#vm.stat(full)));
    if (expectedMtime && stat && Math.trunc(stat.mtimeMs) !== expectedMtime.getTime())
      throw new StaleFileError(path, expectedMtime, new Date(stat.mtimeMs));
    await this.#do("write", path, this.#vm.writeFile(full, content));
  }

  /** Appends to a file, or makes it. */
  async appendFile(path: string, content: string | Uint8Array): Promise<void> {
    const full = this.#place.resolve(path);
    await this.#run(path, 'mkdir -p -- "$2" && cat >> "$1"', [full, posix.dirname(full)], content);
  }

  /** Deletes a file or a link. */
  async deleteFile(path: string, { force = false }: MastraRemoveOptions = {}): Promise<void> {
    const full = this.#place.resolve(path);
    const stat = await orNull(this.#vm.lstat(full));
    if (stat === null && force) return;
    if (stat?.isDirectory) throw new this.#errors.IsDirectoryError(path);
    await this.#do("delete", path, this.#vm.delete(full));
  }

  /** Copies a file, or a directory with `recursive`. */
  async copyFile(
    src: string,
    dest: string,
    { overwrite = true, recursive = false }: { overwrite?: boolean; recursive?: boolean } = {},
  ): Promise<void> {
    const [from, to] = await this.#pair(src, dest, overwrite);
    const { isDirectory } = await this.#do("copy", src, this.#vm.stat(from));
    if (isDirectory && !recursive) throw new this.#errors.IsDirectoryError(src);
    await this.#run(dest, 'mkdir -p -- "$3" && cp -rHT -- "$1" "$2"', [from, to, posix.dirname(to)]);
  }

  /** Moves a file or directory. */
  async moveFile(
    src: string,
    dest: string,
    { overwrite = true }: { overwrite?: boolean } = {},
  ): Promise<void> {
    const [from, to] = await this.#pair(src, dest, overwrite);
    await this.#do("move", src, this.#vm.lstat(from));
    await this.#vm.mkdir(posix.dirname(to), { recursive: true });
    await this.#do("move", src, this.#vm.move(from, to));
  }

  /** Makes a directory. */
  async mkdir(path: string, { recursive = true }: { recursive?: boolean } = {}): Promise<void> {
    await this.#do("mkdir", path, this.#vm.mkdir(this.#place.resolve(path), { recursive }), OF_DIRECTORY);
  }

  /** Removes a directory: an empty one, or any with `recursive`. */
  async rmdir(path: string, { recursive = false, force = false }: MastraRemoveOptions = {}): Promise<void> {
    const full = this.#place.resolve(path);
    const stat = await orNull(this.#vm.lstat(full));
    if (stat === null && force) return;
    if (stat !== null && !stat.isDirectory) throw new this.#errors.NotDirectoryError(path);
    await this.#do("rmdir", path, this.#vm.delete(full, { recursive }), OF_DIRECTORY);
  }

  /** Lists a directory. */
  async readdir(path: string, options: MastraListOptions = {}): Promise<MastraEntry[]> {
    const { recursive = false, extension, maxDepth } = options;
    const entries = await this.#tree(path, recursive ? maxDepth : 0);
    const extensions = extension === undefined ? undefined : [extension].flat();
    const fits = ({ name, type }: MastraEntry) => {
      const own = posix.extname(name);
      return (
        extensions === undefined ||
        type === "directory" ||
        extensions.some((each) => each === own || each === own.slice(1))
      );
    };
    return entries.map(({ path: name, ...entry }) => ({ ...entry, name })).filter(fits);
  }

  /** Lists a tree. */
  async walk(
    path: string,
    { maxDepth, includeHidden = false }: { maxDepth?: number; includeHidden?: boolean } = {},
  ): Promise<MastraWalkEntry[]> {
    const entries = await this.#tree(path, maxDepth === undefined ? undefined : maxDepth - 1);
    return includeHidden ? entries : entries.filter((entry) => !/(^|\/)\./.test(entry.path));
  }

  /** Returns whether a path exists. */
  async exists(path: string): Promise<boolean> {
    return await this.#vm.exists(this.#place.resolve(path));
  }

  /** Returns the metadata of a file or directory. */
  async stat(path: string): Promise<MastraStat> {
    const full = this.#place.resolve(path);
    const { isDirectory, size, birthtimeMs, mtimeMs } = await this.#do("stat", path, this.#vm.stat(full));
    return {
      name: posix.basename(full),
      path: full,
      type: isDirectory ? "directory" : "file",
      size: isDirectory ? 0 : size,
      createdAt: new Date(birthtimeMs),
      modifiedAt: new Date(mtimeMs),
    };
  }

  async #tree(path: string, maxDepth: number | undefined): Promise<MastraWalkEntry[]> {
    const root = this.#place.resolve(path);
    const options = maxDepth === undefined ? {} : { maxDepth: Math.max(0, maxDepth) };
    const found = await this.#do("list", path, this.#vm.readdirRecursive(root, options), OF_DIRECTORY);
    return found.map((entry: DirEntry) => ({
      name: posix.basename(entry.path),
      path: posix.relative(root, entry.path),
      ...(entry.type === "directory"
        ? { type: "directory" as const }
        : { type: "file" as const, size: entry.size }),
      ...(entry.type === "symlink" && { isSymlink: true }),
    }));
  }

  async #pair(src: string, dest: string, overwrite: boolean): Promise<[from: string, to: string]> {
    const to = this.#place.resolve(dest);
    if (!overwrite && (await this.#vm.exists(to))) throw new this.#errors.FileExistsError(dest);
    return [this.#place.resolve(src), to];
  }

  async #run(path: string, line: string, args: string[], stdin?: string | Uint8Array): Promise<void> {
    const options = { env: { LC_ALL: "C" }, stdin };
    const { exitCode, stderr } = await this.#vm.execArgv("sh", ["-c", line, "sh", ...args], options);
    if (exitCode === 0) return;
    if (/Is a directory/i.test(stderr)) throw new this.#errors.IsDirectoryError(path);
    if (/Permission denied/i.test(stderr)) throw new this.#errors.PermissionError(path, "write");
    throw new Error(stderr.trim());
  }

  /** Gives an error of the VM the class that Mastra expects. @param options `isDirectory`: whether the path should be a directory */
  async #do<Value>(
    operation: string,
    path: string,
    call: Promise<Value>,
    { isDirectory } = { isDirectory: false },
  ): Promise<Value> {
    try {
      return await call;
    } catch (error) {
      if (!(error instanceof AgentVmError)) throw error;
      const errors = this.#errors;
      switch (error.code) {
        case "ENOENT":
          throw new (isDirectory ? errors.DirectoryNotFoundError : errors.FileNotFoundError)(path);
        case "EEXIST":
          throw new errors.FileExistsError(path);
        case "EISDIR":
          throw new errors.IsDirectoryError(path);
        case "ENOTDIR":
          throw new (isDirectory ? errors.NotDirectoryError : errors.FileNotFoundError)(path);
        case "ENOTEMPTY":
          throw new errors.DirectoryNotEmptyError(path);
        case "EACCES":
        case "EPERM":
        case "EROFS":
          throw new errors.PermissionError(path, operation);
        default:
          throw error;
      }
    }
  }
}
