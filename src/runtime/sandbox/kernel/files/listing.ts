import { type Dirent, lstatSync, opendirSync, type Stats } from "node:fs";
import { pause } from "../../../../base/pace.ts";
import type { FileEntry, FileEntryWithSize } from "../../files.ts";
import { decodeName, isTemporaryName } from "../../names.ts";
import { at, descriptorPath } from "./descriptors.ts";

/** Entries that one system call returns. Reading 256 takes 0.1 ms. */
const BATCH_ENTRIES = 256;
const ENTRIES_BETWEEN_PAUSES = 32;

/** Lists an open directory without temporary files. */
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

/** Visits every entry of a directory, including temporary files. */
export async function eachEntry(fd: number, visit: (name: string, type: FileEntry["type"]) => void) {
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

export function typeOf(file: Dirent | Stats): FileEntry["type"] {
  if (file.isDirectory()) return "directory";
  if (file.isSymbolicLink()) return "symlink";
  return file.isFile() ? "file" : "other";
}
