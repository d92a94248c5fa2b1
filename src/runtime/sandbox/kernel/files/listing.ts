import type { Dirent, Stats } from "node:fs";
import { pause } from "../../../../base/pace.ts";
import type { FileEntry, FileEntryWithSize } from "../../files.ts";
import { decodeName, isTemporaryName } from "../../names.ts";
import type { FileCalls } from "./calls.ts";
import { at, descriptorPath } from "./descriptors.ts";

const ENTRIES_BETWEEN_PAUSES = 32;

/** Lists an open directory without temporary files. */
export async function listEntries(calls: FileCalls, fd: number): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  await eachEntry(calls, fd, (name, type) => {
    if (!isTemporaryName(name)) entries.push({ name, type });
  });
  return entries;
}

export async function listEntriesWithSizes(calls: FileCalls, fd: number): Promise<FileEntryWithSize[]> {
  const entries: FileEntryWithSize[] = [];
  await eachEntry(calls, fd, async (name, type) => {
    if (isTemporaryName(name)) return;
    const stats = await calls.find(at(fd, name));
    if (stats !== undefined) entries.push({ name, type, size: stats.size });
  });
  return entries;
}

/** Visits every entry of a directory, including temporary files. */
export async function eachEntry(
  calls: FileCalls,
  fd: number,
  visit: (name: string, type: FileEntry["type"]) => void | Promise<void>,
): Promise<void> {
  const directory = await calls.opendir(descriptorPath(fd));
  try {
    let count = 0;
    for (let entries = await calls.entries(directory); entries.length > 0; ) {
      for (const entry of entries) {
        const visited = visit(decodeName(entry.name), typeOf(entry));
        // Many small visits: to wait for each takes longer than a visit.
        if (visited !== undefined) await visited;
        if (++count % ENTRIES_BETWEEN_PAUSES === 0) await pause();
      }
      entries = await calls.entries(directory);
    }
  } finally {
    directory.closeSync();
  }
}

export function typeOf(file: Dirent | Stats): FileEntry["type"] {
  if (file.isDirectory()) return "directory";
  if (file.isSymbolicLink()) return "symlink";
  return file.isFile() ? "file" : "other";
}
