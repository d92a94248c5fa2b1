import { closeSync, constants, openSync, read, readSync, write } from "node:fs";
import { promisify } from "node:util";
import { type Call, posixError } from "../../posix.ts";
import { InFlight } from "./in-flight.ts";
import { encodeName } from "./names.ts";

/** Names a file without opening it: no device is touched, no FIFO waits. The same on every architecture of Node's. */
export const O_PATH = 0o10000000;

/** Opens a directory to look into it, and nothing else by that name. */
export const DIRECTORY = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

const readAsync = promisify(read);
const writeAsync = promisify(write);

/** The file behind a descriptor, whatever its path has become. */
export function descriptorPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** A name in the directory behind a descriptor, as openat(2) takes it. */
export function at(directory: number, name: string): string | Buffer {
  const encoded = encodeName(name);
  return typeof encoded === "string"
    ? `/proc/self/fd/${directory}/${encoded}`
    : Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), encoded]);
}

/** One more descriptor of a directory: by our own link to it, which needs no permission on the directory. */
export function duplicateDirectory(fd: number): number {
  return openSync(descriptorPath(fd), O_PATH | constants.O_DIRECTORY);
}

/**
 * An open file whose close waits for the reads and writes under way: closed at once, its number may name another
 * file by the time the thread pool comes to it.
 */
export class Descriptor {
  readonly #fd: number;
  readonly #inFlight = new InFlight();
  #closing: Promise<void> | null = null;

  constructor(fd: number) {
    this.#fd = fd;
  }

  assertOpen(call: Call): void {
    if (this.#closing !== null) throw posixError("EBADF", call);
  }

  /** Reads without giving way to anything else. */
  readNow(target: Uint8Array, position: number, call: Call): number {
    this.assertOpen(call);
    return readSync(this.#fd, target, 0, target.length, position);
  }

  async read(target: Uint8Array, position: number, call: Call): Promise<number> {
    this.assertOpen(call);
    return this.#inFlight.run(
      async () => (await readAsync(this.#fd, target, 0, target.length, position)).bytesRead,
    );
  }

  async write(source: Uint8Array, position: number, call: Call): Promise<number> {
    this.assertOpen(call);
    return this.#inFlight.run(
      async () => (await writeAsync(this.#fd, source, 0, source.length, position)).bytesWritten,
    );
  }

  /** Resolves when no read or write is under way. */
  idle(): Promise<void> {
    return this.#inFlight.idle();
  }

  close(): Promise<void> {
    this.#closing ??= this.#inFlight.idle().then(() => closeSync(this.#fd));
    return this.#closing;
  }
}
