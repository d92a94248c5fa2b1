import { isPosixCode } from "../../api/error-codes.ts";
import type { DirEntry, ReaddirRecursiveOptions } from "../../api/methods/files.ts";
import { utf8Length, wireSize } from "../../api/size.ts";
import { pause } from "../../base/pace.ts";
import { sortByName, sortNames } from "../../base/sort.ts";
import { isShortage } from "../../base/system-errors.ts";
import type { FileEntryWithSize, FileSystem } from "../sandbox/files.ts";
import { codeOf } from "../sandbox/posix.ts";
import { joinPath, stripSlash } from "./paths.ts";
import type { ResultBudget } from "./result-budget.ts";

const ENTRIES_BETWEEN_PAUSES = 256;

/** Upper bound of an entry's wire size without its path. Faster than measuring each entry with wireSize. */
const ENTRY_BYTES = wireSize({ path: "", type: "directory", size: 0 } satisfies DirEntry);

/** Lists the names in a directory, sorted. */
export async function listNames(fs: FileSystem, path: string, budget: ResultBudget): Promise<string[]> {
  const names: string[] = [];
  for (const { name } of await fs.readdir(path)) {
    budget.add(name);
    names.push(name);
    if (names.length % ENTRIES_BETWEEN_PAUSES === 0) await pause();
  }
  return sortNames(names);
}

/** Lists the tree below a directory breadth first. Entries of each directory are sorted by name. */
export async function listTree(
  fs: FileSystem,
  path: string,
  options: ReaddirRecursiveOptions,
  budget: ResultBudget,
): Promise<DirEntry[]> {
  const maxDepth = options.maxDepth ?? Number.POSITIVE_INFINITY;
  const excluded = new Set(options.exclude);
  const found: DirEntry[] = [];
  let level = [stripSlash(path)];
  for (let depth = 0; depth <= maxDepth && level.length > 0; depth++) {
    const below: string[] = [];
    for (const directory of level) {
      const entries = depth === 0 ? await fs.readdirWithSizes(path) : await listIfPossible(fs, directory);
      for (const entry of await sortByName(entries)) {
        if (excluded.has(entry.name)) continue;
        const described = describe(directory, entry);
        budget.addBytes(ENTRY_BYTES + utf8Length(described.path));
        found.push(described);
        if (entry.type === "directory") below.push(described.path);
        if (found.length % ENTRIES_BETWEEN_PAUSES === 0) await pause();
      }
    }
    level = below;
  }
  return found;
}

/** Describes an entry. Sockets, FIFOs and devices are reported as files of 0 bytes. */
function describe(directory: string, { name, type, size }: FileEntryWithSize): DirEntry {
  const path = joinPath(directory, name);
  return type === "other" ? { path, type: "file", size: 0 } : { path, type, size };
}

/**
 * Lists a nested directory. It counts as empty if it was removed, is not readable, or cannot be listed at all, such as
 * `/proc/PID/net` (EINVAL). Shortages of the server itself are thrown.
 */
async function listIfPossible(fs: FileSystem, directory: string): Promise<FileEntryWithSize[]> {
  try {
    return await fs.readdirWithSizes(directory);
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined || !isPosixCode(code) || isShortage(error)) throw error;
    return [];
  }
}
