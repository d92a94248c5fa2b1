import { posix } from "node:path";
import type { VirtualStat } from "../../client/index.ts";
import { orNull } from "./errors.ts";
import type { AdapterVm } from "./workplace.ts";

/** Kind of a path. `other` stands for sockets, FIFOs and devices. */
export type FileKind = "file" | "directory" | "symlink" | "other";

/** A directory entry with its kind. */
export interface KindEntry {
  /** Name without the directory. */
  name: string;
  kind: FileKind;
  /** Bytes, as in lstat(2). */
  size: number;
}

const TYPE_MASK = 0o170000;
const REGULAR = 0o100000;

/** Concurrent calls for entries whose kind the listing does not show. */
const LOOKUPS = 32;

/** Returns the kind that a file's metadata shows. */
export function kindOf({ isSymbolicLink, isDirectory, mode }: VirtualStat): FileKind {
  if (isSymbolicLink) return "symlink";
  if (isDirectory) return "directory";
  return (mode & TYPE_MASK) === REGULAR ? "file" : "other";
}

/** Follows links and returns the metadata of a path; `null` for a missing path and for a dangling link. */
export async function statOrNull(vm: AdapterVm, path: string): Promise<VirtualStat | null> {
  const stat = await orNull(vm.stat(path));
  return stat === null || stat.isSymbolicLink ? null : stat;
}

/** Lists one directory. @throws AgentVmError `ENOENT`, `ENOTDIR` */
export async function listEntries(vm: AdapterVm, path: string): Promise<KindEntry[]> {
  const entries = await vm.readdirRecursive(path, { maxDepth: 0 });
  const listed = entries.map(({ path: full, type, size }) => ({
    name: posix.basename(full),
    kind: type as FileKind,
    size,
  }));
  // The listing shows sockets, FIFOs and devices as empty files.
  const unsure = listed.filter(({ kind, size }) => kind === "file" && size === 0);
  for (let start = 0; start < unsure.length; start += LOOKUPS) {
    await Promise.all(
      unsure.slice(start, start + LOOKUPS).map(async (entry) => {
        const stat = await orNull(vm.lstat(posix.join(path, entry.name)));
        if (stat !== null) entry.kind = kindOf(stat);
      }),
    );
  }
  return listed;
}
