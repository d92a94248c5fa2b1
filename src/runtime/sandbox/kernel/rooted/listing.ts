import { type Dirent, lstatSync, opendirSync } from "node:fs";
import type { FileEntry, FileEntryWithSize } from "../../files.ts";
import { pause } from "../../pace.ts";
import { isTemporaryName } from "../../temporary.ts";
import { at, descriptorPath } from "./descriptors.ts";
import { decodeName } from "./names.ts";

/** Entries that the kernel hands over at a time; reading 256 takes 0.1 ms. */
const BATCH_ENTRIES = 256;
const ENTRIES_BETWEEN_PAUSES = 32;

/** What the directory behind a descriptor holds, temporary files left out. */
export async function listEntries(fd: number): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  await eachEntry(fd, (name, type) => {
    if (!isTemporaryName(name)) entries.push({ name, type });
  });
  return entries;
}

export async function listEntriesWithSizes(fd: number): Promise<FileEntryWithSize[]> {
  const entries: FileEntryWithSize[] = [];
  await eachEntry(fd, (name, type) => {
    if (isTemporaryName(name)) return;
    const stats = lstatSync(at(fd, name), { throwIfNoEntry: false });
    if (stats !== undefined) entries.push({ name, type, size: stats.size });
  });
  return entries;
}

/** Visits all that a directory holds, temporary files included. */
export async function eachEntry(
  fd: number,
  visit: (name: string, type: FileEntry["type"]) => void,
): Promise<void> {
  const directory = opendirSync(descriptorPath(fd), { encoding: "latin1", bufferSize: BATCH_ENTRIES });
  try {
    for (let count = 1; ; count++) {
      const dirent = directory.readSync();
      if (dirent === null) return;
      visit(decodeName(dirent.name), typeOf(dirent));
      if (count % ENTRIES_BETWEEN_PAUSES === 0) await pause();
    }
  } finally {
    directory.closeSync();
  }
}

function typeOf(dirent: Dirent): FileEntry["type"] {
  if (dirent.isDirectory()) return "directory";
  if (dirent.isSymbolicLink()) return "symlink";
  return dirent.isFile() ? "file" : "other";
}
