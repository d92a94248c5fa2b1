import { close, closeSync, constants, fstatSync, openSync, read, readSync, type Stats, write } from "node:fs";
import { promisify } from "node:util";
import { encodeName } from "../../names.ts";
import { type Call, O_PATH, posixError } from "../../posix.ts";

/** Flags that open a directory for look-ups, and fail for anything else. */
export const DIRECTORY = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Opens a file of any kind itself, for reading its stats and changing its metadata. */
export const NODE = O_PATH | constants.O_NOFOLLOW;

/** Size of a file whose memory the kernel frees in some milliseconds. */
const LARGE_FILE_BYTES = 16 * 1024 * 1024;
const BLOCK_BYTES = 512;

const closeAsync = promisify(close);
const readAsync = promisify(read);
const writeAsync = promisify(write);

/** Returns a path of an open file that stays valid if the file is renamed. */
export function descriptorPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** Returns the path of a name in an open directory. It has the effect of openat(2). */
export function at(directory: number, name: string): string | Buffer {
  const encoded = encodeName(name);
  return typeof encoded === "string"
    ? `/proc/self/fd/${directory}/${encoded}`
    : Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), encoded]);
}

/** Opens an open directory again, by the server's link in /proc, which needs no permission on the directory. */
export function duplicateDirectory(fd: number): number {
  return openSync(descriptorPath(fd), O_PATH | constants.O_DIRECTORY);
}

/** Works with the descriptor of a path, and closes it. */
export function withOpen<Result>(path: string | Buffer, flags: number, work: (fd: number) => Result): Result {
  const fd = openSync(path, flags);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

export const isLarge = ({ blocks }: Stats): boolean => blocks * BLOCK_BYTES >= LARGE_FILE_BYTES;

/** Closes a descriptor in another thread: the kernel frees a tree or a file with its last descriptor. */
export function closeElsewhere(fd: number): Promise<void> {
  return closeAsync(fd);
}

/** Closes a file. Another thread closes a large one that was deleted: the kernel takes 0.2 s to free 1 GiB. */
export function closeFile(fd: number): Promise<void> | undefined {
  const stats = fstatSync(fd);
  if (stats.nlink === 0 && isLarge(stats)) return closeElsewhere(fd);
  closeSync(fd);
  return undefined;
}

/** Runs work that removes or replaces a file. Another thread frees the memory of a large one. @param stats of the file */
export function letGo(path: string | Buffer, stats: Stats, work: () => void): Promise<void> | undefined {
  if (!isLarge(stats)) {
    work();
    return undefined;
  }
  const fd = openSync(path, NODE);
  try {
    work();
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return closeFile(fd);
}

/**
 * An open file whose close waits for its running reads and writes. After an immediate close the descriptor's number
 * could name another file when the thread pool uses it.
 */
export class Descriptor {
  readonly #fd: number;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | null = null;

  constructor(fd: number) {
    this.#fd = fd;
  }

  assertOpen(call: Call): void {
    if (this.#closing !== null) throw posixError("EBADF", call);
  }

  /** Reads in this turn of the event loop. */
  readNow(target: Uint8Array, position: number, call: Call): number {
    this.assertOpen(call);
    return readSync(this.#fd, target, 0, target.length, position);
  }

  async read(target: Uint8Array, position: number, call: Call): Promise<number> {
    this.assertOpen(call);
    return (await this.#run(readAsync(this.#fd, target, 0, target.length, position))).bytesRead;
  }

  async write(source: Uint8Array, position: number, call: Call): Promise<number> {
    this.assertOpen(call);
    return (await this.#run(writeAsync(this.#fd, source, 0, source.length, position))).bytesWritten;
  }

  /** Resolves when no read or write is running. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  close(): Promise<void> {
    this.#closing ??= this.idle().then(() => closeFile(this.#fd));
    return this.#closing;
  }

  #run<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    return work.finally(() => this.#running.delete(work));
  }
}
