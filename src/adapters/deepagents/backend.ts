import { posix } from "node:path";
import { AgentVmError } from "../../api/errors.ts";
import { textOrBytes } from "../../base/bytes.ts";
import type { DirEntry } from "../../client/index.ts";
import { errorText } from "../shared/errors.ts";
import { grep } from "../shared/grep.ts";
import { replaced } from "../shared/replace.ts";
import { type AdapterVm, Workplace } from "../shared/workplace.ts";
import type { BackendFileError, BackendFileInfo, DeepAgentsBackend, MayFail } from "./backend-types.ts";

/** Options of `deepAgentsBackend`. */
export interface DeepAgentsOptions {
  /** Base directory of relative paths and of commands. It is made if it is missing. @default "/home/agentos" */
  workingDirectory?: string;
  /** Milliseconds after which a command is killed; 0 means no timeout. @default 0 */
  timeout?: number;
  /** Names the backend. @default "agent-vm" */
  id?: string;
}

const MAX_MATCHES = 10_000;

const DEFAULT_LINES = 500;

/**
 * Makes a VM the backend of deepagents (`deepagents` 1): commands and files.
 *
 * @param vm handle or connection of `createClient()`
 * @param options base directory, timeout and id
 * @example
 * ```ts
 * const agent = createDeepAgent({ model, backend: deepAgentsBackend(client.vm.getOrCreate("my-agent")) });
 * ```
 */
export function deepAgentsBackend(vm: AdapterVm, options: DeepAgentsOptions = {}): DeepAgentsBackend {
  const { id = "agent-vm", timeout = 0, workingDirectory } = options;
  const place = new Workplace(vm, workingDirectory);
  return {
    id,
    async execute(command) {
      const { output, exitCode, truncated, timedOut } = await vm.run(command, {
        cwd: await place.directory(),
        timeout,
      });
      const note = timedOut ? `\n[killed after ${timeout} ms]` : "";
      return { output: output + note, exitCode, truncated };
    },
    ls: (path) =>
      orError(async () => ({
        files: (await vm.readdirRecursive(place.resolve(path), { maxDepth: 0 })).map(infoOf),
      })),
    read: (filePath, offset = 0, limit = DEFAULT_LINES) =>
      orError(async () => {
        const content = textOrBytes(await vm.readFile(place.resolve(filePath)));
        if (typeof content !== "string") return { content, mimeType: mimeTypeOf(content) };
        const lines = content.split("\n");
        // A line end at the end of the file begins no line.
        if (lines.at(-1) === "") lines.pop();
        const page = lines.slice(offset, offset + limit);
        const end = offset + page.length;
        return {
          content: page.join("\n"),
          mimeType: mimeTypeOf(content),
          totalLines: lines.length,
          ...(page.length > 0 && { startLine: offset + 1, endLine: end }),
          ...(end < lines.length && { nextOffset: end }),
        };
      }),
    readRaw: (filePath) =>
      orError(async () => {
        const full = place.resolve(filePath);
        const [bytes, stat] = await Promise.all([vm.readFile(full), vm.stat(full)]);
        const content = textOrBytes(bytes);
        const time = (ms: number) => new Date(ms).toISOString();
        const times = { created_at: time(stat.birthtimeMs), modified_at: time(stat.mtimeMs) };
        return { data: { content, mimeType: mimeTypeOf(content), ...times } };
      }),
    write: (filePath, content) =>
      orError(async () => {
        await vm.writeFile(place.resolve(filePath), content);
        return { path: filePath, filesUpdate: null };
      }),
    edit: (filePath, oldString, newString, replaceAll = false) =>
      orError(async () => {
        const full = place.resolve(filePath);
        const content = textOrBytes(await vm.readFile(full));
        if (typeof content !== "string") return { error: `${filePath} is not UTF-8 text` };
        const { text, count } = replaced(content, oldString, newString, replaceAll);
        await vm.writeFile(full, text);
        return { path: filePath, filesUpdate: null, occurrences: count };
      }),
    delete: (filePath) =>
      orError(async () => {
        await vm.delete(place.resolve(filePath), { recursive: true });
        return { path: filePath, filesUpdate: null };
      }),
    grep: (pattern, path, glob, maxCount) =>
      orError(async () => {
        const limit = maxCount ?? MAX_MATCHES;
        const request = { pattern, path: place.resolve(path ?? "."), isLiteral: true, limit };
        const { lines, isWhole } = await grep(vm, { ...request, include: glob ?? undefined });
        return { matches: lines, ...(!isWhole && { truncated: true }) };
      }),
    glob: (pattern, path = ".") =>
      orError(async () => {
        const root = place.resolve(path);
        const found = await vm.readdirRecursive(root, { exclude: [".git", "node_modules"] });
        const fits = (entry: DirEntry) =>
          posix.matchesGlob(posix.relative(root, entry.path), pattern.replace(/^\/+/, ""));
        return { files: found.filter((entry) => entry.type !== "directory" && fits(entry)).map(infoOf) };
      }),
    async uploadFiles(files) {
      const results = await vm.writeFiles(
        files.map(([path, content]) => ({ path: place.resolve(path), content })),
      );
      return files.map(([path], index) => ({ path, error: fileError(results[index]?.error) }));
    },
    async downloadFiles(paths) {
      const results = await vm.readFiles(paths.map((path) => place.resolve(path)));
      return paths.map((path, index) => {
        const { content = null, error } = results[index] ?? {};
        return { path, content, error: fileError(error) };
      });
    },
  };
}

/** Returns the error of an operation on files as a value, as the protocol wants it. Errors of the server or the connection are thrown. */
async function orError<Result extends object>(work: () => Promise<Result>): Promise<Result | MayFail> {
  try {
    return await work();
  } catch (error) {
    const isAnswer =
      error instanceof AgentVmError && (/^E[A-Z]+$/.test(error.code) || error.code === "invalid_argument");
    if (!isAnswer) throw error;
    return { error: errorText(error) };
  }
}

function infoOf({ path, type, size }: DirEntry): BackendFileInfo {
  const isDirectory = type === "directory";
  return { path: isDirectory ? `${path}/` : path, is_dir: isDirectory, size };
}

function mimeTypeOf(content: string | Uint8Array): string {
  return typeof content === "string" ? "text/plain" : "application/octet-stream";
}

/** Maps a message such as `ENOENT: no such file or directory` to a code of the protocol. */
function fileError(message: string | undefined): BackendFileError | null {
  if (message === undefined) return null;
  if (/^(ENOENT|ENOTDIR)\b/.test(message)) return "file_not_found";
  if (message.startsWith("EISDIR")) return "is_directory";
  return /^(EACCES|EPERM|EROFS)\b/.test(message) ? "permission_denied" : "invalid_path";
}
