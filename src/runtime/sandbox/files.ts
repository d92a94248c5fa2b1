import type { EntryType, VirtualStat } from "../../api/types.ts";
import type { PersistentTree } from "./persistent-tree.ts";

/** What a directory holds under one name. */
export interface FileEntry {
  name: string;
  type: EntryType | "other";
}

export interface FileEntryWithSize extends FileEntry {
  /** Bytes, as in lstat(2). */
  size: number;
}

/** An open regular file. `close` may be called twice. */
export interface FileReader {
  /** Size when it was opened, in bytes. */
  readonly size: number;
  /** Up to `length` bytes from `offset`; fewer only at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * A replacement for a file that nobody sees before `commit`, which puts it in place in one step.
 * `close` without `commit` leaves the file as it was. `close` may be called twice.
 */
export interface FileWriter {
  write(offset: number, data: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A VM's file tree, shaped like node:fs/promises. Paths are absolute, normalized and free of NUL (the caller has
 * checked), but may end with one slash, which asks for a directory as in Linux; whatever links they pass, they never
 * leave the tree. Errors are AgentVmErrors with a POSIX code whose
 * message reads `ENOENT: no such file or directory, open '/x'`. No method holds the event loop above 20 ms.
 */
export interface FileSystem {
  /** EFBIG, with the size as `bytes` in its metadata, above `maxBytes`. @default MAX_READ_FILE_BYTES */
  readFile(path: string, maxBytes?: number): Promise<Uint8Array>;
  openReader(path: string): Promise<FileReader>;
  /** Atomic: readers see the old file or the new one. Keeps mode and owner of a file that exists. The parent must exist. */
  writeFile(path: string, data: Uint8Array): Promise<void>;
  /** Like writeFile, piece by piece. */
  openWriter(path: string): Promise<FileWriter>;
  stat(path: string): Promise<VirtualStat>;
  lstat(path: string): Promise<VirtualStat>;
  /** Entries without `.` and `..`, in no particular order. */
  readdir(path: string): Promise<FileEntry[]>;
  /** Like readdir, with each entry's size. */
  readdirWithSizes(path: string): Promise<FileEntryWithSize[]>;
  /** One directory; an existing one is EEXIST. */
  mkdir(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** A directory with all in it. Links in it are removed, never followed; a mount point is EBUSY and stays. */
  removeTree(path: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** rename(2): EXDEV across mounts. */
  rename(from: string, to: string): Promise<void>;
  readlink(path: string): Promise<string>;
  symlink(target: string, path: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  /** Sets access and modification time, in milliseconds since the Unix epoch. */
  utimes(path: string, atimeMs: number, mtimeMs: number): Promise<void>;
  /** The same tree as checkpoints see it. */
  readonly tree: PersistentTree;
  /** Releases descriptors; every later call is `vm_stopped`. */
  close(): Promise<void>;
}
