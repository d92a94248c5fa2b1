import type { EntryType, VirtualStat } from "../../api/methods/files.ts";
import type { VmMount } from "./mount-table.ts";
import type { PersistentTree } from "./persistent-tree.ts";

/** A name in a directory and the type of its file. */
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
  /** Size of the file when it was opened, in bytes. */
  readonly size: number;
  /** Reads up to `length` bytes from `offset`: fewer only at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Fills a target from `offset`. @returns the bytes read: 0 only at the end of the file */
  fill(target: Uint8Array, offset: number): Promise<number>;
  /** Changes whenever the content of the open file may have changed. */
  version(): string;
  close(): Promise<void>;
}

/**
 * A replacement for a file. It stays invisible until `commit` puts it in place in one step. `close` without `commit`
 * leaves the old file unchanged. `close` may be called twice.
 */
export interface FileWriter {
  write(offset: number, data: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  close(): Promise<void>;
}

/**
 * A VM's file tree, shaped like node:fs/promises. The caller passes absolute, normalized paths without NUL. A path may
 * end with one slash, which asks for a directory as in Linux. No link leads a path out of the tree. Errors are
 * AgentVmErrors with a POSIX code and a message such as `ENOENT: no such file or directory, open '/x'`. No method holds
 * the event loop above 20 ms.
 */
export interface FileSystem {
  /**
   * Reads a whole file.
   *
   * @param maxBytes a larger file is EFBIG, with its size as `bytes` in the metadata. @default MAX_READ_FILE_BYTES
   */
  readFile(path: string, maxBytes?: number): Promise<Uint8Array>;
  openReader(path: string): Promise<FileReader>;
  /**
   * Writes a file in one step: readers see the old content or the new content. An existing file keeps its mode and
   * owner. The parent directory must exist.
   */
  writeFile(path: string, data: Uint8Array): Promise<void>;
  /** Writes a file piece by piece, with the guarantees of `writeFile`. */
  openWriter(path: string): Promise<FileWriter>;
  stat(path: string): Promise<VirtualStat>;
  lstat(path: string): Promise<VirtualStat>;
  /** Lists a directory without `.` and `..`, in no particular order. */
  readdir(path: string): Promise<FileEntry[]>;
  /** Lists a directory like `readdir`, with each entry's size. */
  readdirWithSizes(path: string): Promise<FileEntryWithSize[]>;
  /** Creates one directory. An existing directory is EEXIST. */
  mkdir(path: string): Promise<void>;
  /**
   * Creates directories below an existing one, each in the one before. Keeps a directory that exists. Follows no link below `path`,
   * and takes time linear in the number of names.
   */
  mkdirBelow(path: string, names: readonly string[]): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** Removes a directory and everything in it. Links are removed, never followed. A mount point is EBUSY and stays. */
  removeTree(path: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Renames like rename(2): EXDEV across mounts. */
  rename(from: string, to: string): Promise<void>;
  readlink(path: string): Promise<string>;
  symlink(target: string, path: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  /** Sets access and modification time, in milliseconds since the Unix epoch. */
  utimes(path: string, atimeMs: number, mtimeMs: number): Promise<void>;
  /** View of this tree for checkpoints. */
  readonly tree: PersistentTree;
  /**
   * Finds the mount of the VM in which a path lies.
   *
   * @param follow whether a link at the end of the path counts as the file to which it leads
   * @returns `undefined` for the VM's own files
   */
  mountOf(path: string, options: { follow: boolean }): Promise<VmMount | undefined>;
  /** Releases all descriptors. Every later call throws `vm_stopped`. */
  close(): Promise<void>;
}
