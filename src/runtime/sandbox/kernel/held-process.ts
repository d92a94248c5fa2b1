import { closeSync, constants, openSync } from "node:fs";
import { O_PATH } from "./boot.ts";
import { childrenOf } from "./procfs.ts";

/** A process by its folder in /proc: an open one stays its own when the kernel gives the pid to another. */
export class HeldProcess {
  readonly pid: number;
  readonly #fd: number;
  #closed = false;

  private constructor(pid: number, fd: number) {
    this.pid = pid;
    this.#fd = fd;
  }

  /** The first child of a process; `undefined` where it has none any more. */
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

  /** Nothing can be opened in it once the process has ended. */
  get folder(): string {
    return `/proc/self/fd/${this.#fd}`;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }
}
