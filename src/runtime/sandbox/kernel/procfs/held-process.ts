import { closeSync, constants, openSync } from "node:fs";
import { O_PATH } from "../../posix.ts";
import { childrenOf } from "./procfs.ts";

/** A process by its open folder in /proc, which never names another process, even if the kernel reuses the pid. */
export class HeldProcess {
  readonly pid: number;
  readonly #fd: number;
  #closed = false;

  private constructor(pid: number, fd: number) {
    this.pid = pid;
    this.#fd = fd;
  }

  /** Opens the first child of a process. @returns `undefined` if it has no child any more */
  static childOf(parent: number): HeldProcess | undefined {
    const [pid] = childrenOf(parent);
    if (pid === undefined) return undefined;
    let fd: number;
    try {
      fd = openSync(`/proc/${pid}`, constants.O_DIRECTORY | O_PATH);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const held = new HeldProcess(pid, fd);
    if (childrenOf(parent)[0] === pid) return held;
    held.close();
    return undefined;
  }

  /** Path of the folder. Opening a file in it fails after the process's end. */
  get folder(): string {
    return `/proc/self/fd/${this.#fd}`;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }
}
