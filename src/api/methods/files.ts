import { z } from "zod";
import { MAX_BATCH_ENTRIES } from "../limits.ts";
import { type Bytes, bool, bytes, offset, options, path, paths, text } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";

const method = methodsOf("files");

/** Metadata of a file, as stat(2) answers it. */
export interface VirtualStat {
  /** File type and permission bits, as in stat(2). */
  mode: number;
  /** Size in bytes. */
  size: number;
  /** Blocks of 512 bytes that the file occupies. */
  blocks: number;
  /** Device number of the file system. */
  dev: number;
  /** Device number of a device file, otherwise 0. */
  rdev: number;
  /** `true` for a directory. */
  isDirectory: boolean;
  /** `true` for a symbolic link: always in `lstat`, and in `stat` for a dangling link. */
  isSymbolicLink: boolean;
  /** Time of the last access, in milliseconds since the Unix epoch. */
  atimeMs: number;
  /** Time of the last change of the content, in milliseconds since the Unix epoch. */
  mtimeMs: number;
  /** Time of the last change of the metadata, in milliseconds since the Unix epoch. */
  ctimeMs: number;
  /** Time of creation, in milliseconds since the Unix epoch. */
  birthtimeMs: number;
  /** Inode number. */
  ino: number;
  /** Number of hard links. */
  nlink: number;
  /** User id of the owner, as the VM sees it. */
  uid: number;
  /** Group id of the owner, as the VM sees it. */
  gid: number;
}

/** Kind of a directory entry. */
export type EntryType = "file" | "directory" | "symlink";

/** An entry that `readdirRecursive` found. */
export interface DirEntry {
  /** Absolute path. */
  path: string;
  /** Kind of the entry. Links are not followed. */
  type: EntryType;
  /** Size in bytes, as in lstat(2). */
  size: number;
}

/** Options of `readdirRecursive`. */
export interface ReaddirRecursiveOptions {
  /** Levels to descend. 0 lists the immediate children only. @default no limit */
  maxDepth?: number;
  /** Exact names to leave out at any depth, with everything below them. @default [] */
  exclude?: string[];
}

/** Options of `mkdir` and `delete`. */
export interface RecursiveOption {
  /** `mkdir` also creates missing parents; `delete` also deletes everything below a directory. @default false */
  recursive?: boolean;
}

/** A file that `writeFiles` writes. */
export interface BatchWriteEntry {
  /** Absolute path. */
  path: string;
  /** New content. A string is written as UTF-8. */
  content: Bytes;
}

/** Result of one entry of `writeFiles`. */
export interface BatchWriteResult {
  /** Path as given. */
  path: string;
  /** `true` when the file was written. */
  success: boolean;
  /** Why the file was not written, such as `"ENOENT: no such file or directory, open '/x/y'"`. */
  error?: string;
}

/** Result of one path of `readFiles`. */
export interface BatchReadResult {
  /** Path as given. */
  path: string;
  /** Content of the file; `null` when it could not be read. */
  content: Uint8Array | null;
  /** Why the file could not be read, such as `"ENOENT: no such file or directory, open '/x'"`. */
  error?: string;
}

const onePath = takes(["path", path]);
const pathAndRecursive = takes(
  ["path", path],
  ["options", options({ recursive: bool.optional() }).optional()],
);

const listOptions = options({
  maxDepth: offset.optional(),
  exclude: z.array(text, { error: "an array of names" }).optional(),
}).optional();

/**
 * File methods. Paths are absolute and normalized; errors carry POSIX codes
 * (`ENOENT: no such file or directory, open '/x'`, code `ENOENT`).
 */
export const FILE_METHODS = {
  /**
   * Reads a whole file. This package's client reads files of any size, also as a stream, and takes `onProgress` and
   * `signal`; another client reads up to 31 MiB.
   *
   * @param path absolute path of a regular file
   * @throws AgentVmError `ENOENT`; `EISDIR` for a directory; `EACCES`; `response_too_large`
   */
  readFile: method<(path: string) => Promise<Uint8Array>>()({
    right: "files",
    input: onePath,
    boots: true,
    reads: true,
  }),
  /**
   * Replaces a file in one step and creates missing parents. The mode and owner of an existing file stay. This package's
   * client writes files of any size, also streams, and takes `onProgress` and `signal`; another client up to 31 MiB.
   *
   * @param path absolute path
   * @param content new content; a string is written as UTF-8
   * @throws AgentVmError `EISDIR` for a directory; `ENOSPC` when the VM's disk is full; `EROFS` below a read-only mount
   */
  writeFile: method<(path: string, content: Bytes) => Promise<void>>()({
    right: "files",
    input: takes(["path", path], ["content", bytes]),
    boots: true,
  }),
  /**
   * Reads up to 10,000 files. A file that cannot be read has `content: null` and an `error`.
   *
   * @param paths absolute paths
   * @returns one result a path, in order
   * @throws AgentVmError `invalid_argument` for more than 10,000 paths
   */
  readFiles: method<(paths: string[]) => Promise<BatchReadResult[]>>()({
    right: "files",
    input: takes(["paths", paths]),
    boots: true,
    reads: true,
  }),
  /**
   * Writes up to 10,000 files, each in one step like `writeFile`. A file that cannot be written has an `error`.
   *
   * @param entries paths with their new content
   * @returns one result an entry, in order
   * @throws AgentVmError `invalid_argument` for more than 10,000 entries
   */
  writeFiles: method<(entries: BatchWriteEntry[]) => Promise<BatchWriteResult[]>>()({
    right: "files",
    input: takes([
      "entries",
      z
        .array(options({ path: z.string({ error: "a path" }), content: bytes }), {
          error: "an array of entries",
        })
        .max(MAX_BATCH_ENTRIES, { error: `at most ${MAX_BATCH_ENTRIES} entries` }),
    ]),
    boots: true,
  }),
  /**
   * Returns a file's metadata and follows symbolic links. A dangling link is described itself, with
   * `isSymbolicLink: true`.
   *
   * @param path absolute path
   * @throws AgentVmError `ENOENT`; `ENOTDIR`; `EACCES`; `ELOOP`
   */
  stat: method<(path: string) => Promise<VirtualStat>>()({
    right: "files",
    input: onePath,
    boots: true,
    reads: true,
  }),
  /**
   * Returns the metadata of a path without following a symbolic link in its last component.
   *
   * @param path absolute path
   * @throws AgentVmError `ENOENT`; `ENOTDIR`; `EACCES`; `ELOOP`
   */
  lstat: method<(path: string) => Promise<VirtualStat>>()({
    right: "files",
    input: onePath,
    boots: true,
    reads: true,
  }),
  /**
   * Tells whether a path exists: `false` for a missing path and for a dangling link.
   *
   * @param path absolute path
   * @throws AgentVmError `invalid_argument`
   */
  exists: method<(path: string) => Promise<boolean>>()({
    right: "files",
    input: onePath,
    boots: true,
    reads: true,
  }),
  /**
   * Creates a directory. A directory that exists is fine.
   *
   * @param path absolute path
   * @throws AgentVmError `ENOENT` when the parent is missing and `recursive` is not set; `EEXIST` for a file
   */
  mkdir: method<(path: string, options?: RecursiveOption) => Promise<void>>()({
    right: "files",
    input: pathAndRecursive,
    boots: true,
  }),
  /**
   * Lists the names in a directory, without `.` and `..`, sorted by code unit.
   *
   * @param path absolute path of a directory
   * @throws AgentVmError `ENOENT`; `ENOTDIR`
   */
  readdir: method<(path: string) => Promise<string[]>>()({
    right: "files",
    input: onePath,
    boots: true,
    reads: true,
  }),
  /**
   * Lists everything below a directory, breadth first, without the directory itself. Links are listed and not followed.
   *
   * @param path absolute path of a directory
   * @throws AgentVmError `ENOENT`; `ENOTDIR`; `response_too_large`
   */
  readdirRecursive: method<(path: string, options?: ReaddirRecursiveOptions) => Promise<DirEntry[]>>()({
    right: "files",
    input: takes(["path", path], ["options", listOptions]),
    boots: true,
    reads: true,
  }),
  /**
   * Moves a file or directory, as rename(2) does. Across mounts it copies, then deletes.
   *
   * @param from absolute path of the source
   * @param to absolute path of the target
   * @throws AgentVmError `ENOENT`; `EISDIR`, `ENOTDIR` or `ENOTEMPTY` when the target cannot be replaced
   */
  move: method<(from: string, to: string) => Promise<void>>()({
    right: "files",
    input: takes(["from", path], ["to", path]),
    boots: true,
  }),
  /**
   * Deletes a file, link or directory. A link is deleted, never its target.
   *
   * @param path absolute path
   * @throws AgentVmError `ENOENT`; `ENOTEMPTY` for a directory with entries when `recursive` is not set
   */
  delete: method<(path: string, options?: RecursiveOption) => Promise<void>>()({
    right: "files",
    input: pathAndRecursive,
    boots: true,
  }),
  /**
   * Deletes a file, link or directory: an alias of `delete`.
   *
   * @param path absolute path
   * @throws AgentVmError `ENOENT`; `ENOTEMPTY` for a directory with entries when `recursive` is not set
   */
  deleteFile: method<(path: string, options?: RecursiveOption) => Promise<void>>()({
    right: "files",
    input: pathAndRecursive,
    boots: true,
  }),
};

export type FileMethods = CallsOf<typeof FILE_METHODS>;
