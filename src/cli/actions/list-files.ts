import { posix } from "node:path";
import type { DirEntry, VirtualStat } from "../../api/methods/files.ts";
import type { VmHandle } from "../../client/types.ts";
import type { Cli } from "../cli.ts";
import type { Place } from "../key.ts";
import { shownBytes, shownTime } from "../shown.ts";

export interface ListFilesOptions {
  long?: boolean;
  recursive?: boolean;
}

/** Requests at a time. */
const AT_ONCE = 16;

const TYPES = { file: "-", directory: "d", symlink: "l" } as const;

interface Listed extends DirEntry {
  name: string;
  stat?: VirtualStat | undefined;
}

/** Lists a directory of a VM, or describes a file. */
export async function listFiles(
  cli: Cli,
  { key, path }: Place,
  { long, recursive }: ListFilesOptions,
): Promise<void> {
  const vm = await cli.vm(key);
  const entries = await entriesOf(vm, path, recursive ?? false);
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (!long) {
    const value = entries.map(({ path: whole, type, size }) => ({ path: whole, type, size }));
    await cli.out.table(
      entries,
      [{ title: "NAME", of: ({ name, type }) => name + (type === "directory" ? "/" : "") }],
      value,
    );
    return;
  }
  await addStats(vm, entries);
  const value = entries.map(({ path: whole, type, size, stat }) => ({ path: whole, type, size, ...stat }));
  await cli.out.table(
    entries,
    [
      {
        title: "MODE",
        of: ({ type, stat }) => (stat === undefined ? undefined : TYPES[type] + shownMode(stat.mode)),
      },
      { title: "OWNER", of: ({ stat }) => (stat === undefined ? undefined : `${stat.uid}:${stat.gid}`) },
      { title: "SIZE", of: ({ size }) => shownBytes(size), isNumber: true },
      { title: "CHANGED", of: ({ stat }) => shownTime(stat?.mtimeMs) },
      { title: "NAME", of: ({ name, type }) => name + (type === "directory" ? "/" : "") },
    ],
    value,
  );
}

async function entriesOf(vm: VmHandle, path: string, isRecursive: boolean): Promise<Listed[]> {
  const stat = await vm.stat(path);
  if (!stat.isDirectory) {
    const type = stat.isSymbolicLink ? "symlink" : "file";
    return [{ path, type, size: stat.size, name: path }];
  }
  const entries = await vm.readdirRecursive(path, isRecursive ? {} : { maxDepth: 0 });
  return entries.map((entry) => ({ ...entry, name: posix.relative(path, entry.path) }));
}

/** Asks for the metadata of each entry. An entry that has gone meanwhile stays without. */
async function addStats(vm: VmHandle, entries: Listed[]): Promise<void> {
  const waiting = entries.values();
  const worker = async () => {
    for (const entry of waiting) entry.stat = await vm.lstat(entry.path).catch(() => undefined);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function shownMode(mode: number): string {
  const bits = [...(mode & 0o777).toString(2).padStart(9, "0")];
  return bits.map((bit, index) => (bit === "1" ? "rwx"[index % 3] : "-")).join("");
}
