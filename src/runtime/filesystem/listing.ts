import { utf8Length, wireSize } from "../../api/size.ts";
import type { DirEntry, ReaddirRecursiveOptions } from "../../api/types.ts";
import type { FileEntryWithSize, FileSystem } from "../sandbox/files.ts";
import { pause } from "../sandbox/pace.ts";
import { codeOf } from "../sandbox/posix.ts";
import { sortByName, sortNames } from "../sort.ts";
import { joinPath, stripSlash } from "./paths.ts";
import type { ResultBudget } from "./result-budget.ts";

const ENTRIES_BETWEEN_PAUSES = 256;

const POSIX_CODE = /^E[A-Z0-9]+$/;
const SHORTAGES = ["EMFILE", "ENFILE", "ENOMEM"];

/** Upper bound of an entry on the wire without its path: the same as measuring each with wireSize, in less time. */
const ENTRY_BYTES = wireSize({ path: "", type: "directory", size: 0 } satisfies DirEntry);

/** Names in a directory, sorted. */
export async function listNames(fs: FileSystem, path: string, budget: ResultBudget): Promise<string[]> {
  const names: string[] = [];
  for (const { name } of await fs.readdir(path)) {
    budget.add(name);
    names.push(name);
    if (names.length % ENTRIES_BETWEEN_PAUSES === 0) await pause();
  }
  return sortNames(names);
}

/** Everything below a directory, level by level, each directory's entries sorted by name. */
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

/** What is no file, directory or link is told as a file of 0 bytes. */
function describe(directory: string, { name, type, size }: FileEntryWithSize): DirEntry {
  const path = joinPath(directory, name);
  return type === "other" ? { path, type: "file", size: 0 } : { path, type, size };
}

/**
 * A directory further down may have gone meanwhile, or be closed to the VM's user, or be one of /proc that cannot be
 * listed at all (`/proc/PID/net` is EINVAL). What the server itself lacks is told.
 */
async function listIfPossible(fs: FileSystem, directory: string): Promise<FileEntryWithSize[]> {
  try {
    return await fs.readdirWithSizes(directory);
  } catch (error) {
    const code = codeOf(error) ?? "";
    if (!POSIX_CODE.test(code) || SHORTAGES.includes(code)) throw error;
    return [];
  }
}
