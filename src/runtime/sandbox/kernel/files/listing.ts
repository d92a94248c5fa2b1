import { type Dir, type Dirent, opendirSync, type Stats } from "node:fs";
import { pause } from "../../../../base/pace.ts";
import type { FileEntry, FileEntryWithSize } from "../../files.ts";
import { decodeName, isTemporaryName } from "../../names.ts";
import { BATCH_ENTRIES, type FileCalls } from "./calls.ts";
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

/** Opens a directory by its descriptor, for `entries`. */
export function openListing(fd: number): Dir {
  return opendirSync(descriptorPath(fd), { encoding: "latin1", bufferSize: BATCH_ENTRIES });
}

/** Visits every entry of a directory, including temporary files. */
export async function eachEntry(
  calls: FileCalls,
  fd: number,
  visit: (name: string, type: FileEntry["type"]) => void | Promise<void>,
): Promise<void> {
  const directory = openListing(fd);
  try {
    let count = 0;
    for (let isEnd = false; !isEnd; ) {
      const entries = await calls.entries(directory);
      isEnd = entries.length < BATCH_ENTRIES;
      for (const entry of entries) {
        const visited = visit(decodeName(entry.name), typeOf(entry));
        // Many small visits: to wait for each takes longer than a visit.
        if (visited !== undefined) await visited;
        if (++count % ENTRIES_BETWEEN_PAUSES === 0) await pause();
      }
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
