import { close, closeSync, constants, fstatSync, openSync, read, readSync, type Stats } from "node:fs";
import { promisify } from "node:util";
import { encodeName } from "../../names.ts";
import { type Call, codeOf, O_PATH, posixError } from "../../posix.ts";
import type { FileCalls } from "./calls.ts";

/** Flags that open a directory for look-ups, and fail for anything else. */
export const DIRECTORY = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Opens a file of any kind itself, for reading its stats and changing its metadata. */
export const NODE = O_PATH | constants.O_NOFOLLOW;

const readAsync = promisify(read);

/** Closes a descriptor in a thread of the pool. */
export const closeElsewhere = promisify(close);

/**
 * Blocks of a file that the kernel frees for milliseconds: 240 ms for 1 GiB. It does that for the last descriptor of a file
 * without a name.
 */
const LARGE_BLOCKS = (8 * 1024 * 1024) / 512;

/** `true` for a file that the event loop's thread must not free. */
export function isLarge({ blocks }: Pick<Stats, "blocks">): boolean {
  return blocks >= LARGE_BLOCKS;
}

/** Closes a file. @returns a promise if another thread frees the file meanwhile */
export function closeFile(fd: number): Promise<void> | undefined {
  const stats = fstatSync(fd);
  if (stats.nlink === 0 && isLarge(stats)) return closeElsewhere(fd);
  closeSync(fd);
  return undefined;
}

/** Makes a change that may take a file's last name. Waits until another thread has freed a large file. */
export async function unname(
  calls: FileCalls,
  path: string | Buffer,
  change: () => void | Promise<void>,
): Promise<void> {
  let fd: number;
  try {
    fd = await calls.open(path, NODE);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    return await change();
  }
  try {
    await change();
  } finally {
    await closeFile(fd);
  }
}

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
export async function withOpen<Result>(
  calls: FileCalls,
  path: string | Buffer,
  flags: number,
  work: (fd: number) => Result,
): Promise<Awaited<Result>> {
  const fd = await calls.open(path, flags);
  try {
    return await work(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * An open file whose close waits for its running work. After an immediate close the descriptor's number
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

  stat(call: Call): Stats {
    this.assertOpen(call);
    return fstatSync(this.#fd);
  }

  async read(target: Uint8Array, position: number, call: Call): Promise<number> {
    this.assertOpen(call);
    return (await this.use(readAsync(this.#fd, target, 0, target.length, position))).bytesRead;
  }

  /** Resolves when no work is running. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  /** @param before the last work with the file */
  close(before?: () => Promise<void>): Promise<void> {
    this.#closing ??= this.idle()
      .then(before)
      .finally(() => closeFile(this.#fd));
    return this.#closing;
  }

  /** Keeps the file open until work with it has ended. */
  use<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    return work.finally(() => this.#running.delete(work));
  }
}
