import { constants, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { asPosixError, type Call } from "../../posix.ts";
import { closeFile, descriptorPath } from "./descriptors.ts";

/** Opens a file without a name, which no process of the VM can give one (O_TMPFILE contains O_DIRECTORY). */
const NAMELESS = 0o20000000 | constants.O_DIRECTORY | constants.O_RDWR | constants.O_EXCL;

/** A file that takes room in a directory's file system, and that no name leads to. */
export class NamelessFile {
  readonly #fd: number;
  readonly #call: Call;
  #size = 0;
  #isClosed = false;

  /** @param call what an error says about the file @throws AgentVmError such as `ENOSPC` */
  constructor(directoryFd: number, call: Call) {
    this.#call = call;
    this.#fd = this.#coded(() => openSync(descriptorPath(directoryFd), NAMELESS, 0o600));
  }

  get size(): number {
    return this.#size;
  }

  /** Writes all of the data in this turn of the event loop. @throws AgentVmError such as `ENOSPC`, and keeps nothing of it */
  append(data: Uint8Array): void {
    try {
      this.#coded(() => {
        for (let done = 0; done < data.length; )
          done += writeSync(this.#fd, data, done, data.length - done, this.#size + done);
      });
    } catch (error) {
      ftruncateSync(this.#fd, this.#size);
      throw error;
    }
    this.#size += data.length;
  }

  read(position: number, bytes: number): Uint8Array {
    const data = Buffer.allocUnsafe(Math.min(bytes, this.#size - position));
    return data.subarray(0, readSync(this.#fd, data, 0, data.length, position));
  }

  /** Idempotent. */
  close(): void {
    if (!this.#isClosed) void closeFile(this.#fd);
    this.#isClosed = true;
  }

  #coded<Result>(work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      throw asPosixError(error, this.#call);
    }
  }
}
