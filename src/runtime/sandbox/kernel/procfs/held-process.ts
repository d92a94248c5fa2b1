import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { ifThere, isShortage } from "../../../../base/system-errors.ts";
import { O_PATH } from "../../posix.ts";
import { childrenOf, parseStat } from "./procfs.ts";

/** States of processes that have ended, see proc_pid_stat(5). */
export const ENDED_STATES: readonly string[] = ["Z", "X"];

/** A process by its open folder in /proc, which never names another process, even if the kernel reuses the pid. */
export class HeldProcess {
  readonly pid: number;
  readonly #fd: number;
  #closed = false;

  private constructor(pid: number, fd: number) {
    this.pid = pid;
    this.#fd = fd;
  }

  /** Opens a child of a process, by default the first. @returns `undefined` if it has no such child any more */
  static childOf(parent: number, index = 0): HeldProcess | undefined {
    const pid = childrenOf(parent)[index];
    if (pid === undefined) return undefined;
    const fd = ifThere(() => openSync(`/proc/${pid}`, constants.O_DIRECTORY | O_PATH));
    if (fd === undefined) return undefined;
    const held = new HeldProcess(pid, fd);
    if (childrenOf(parent)[index] === pid) return held;
    held.close();
    return undefined;
  }

  /** Path of the folder. Opening a file in it fails after the process's end. */
  get folder(): string {
    return `/proc/self/fd/${this.#fd}`;
  }

  /** Neither this nor `hasEnded` is `true` if the server cannot look, for example without a descriptor left. */
  get isAlive(): boolean {
    return this.#look() === true;
  }

  get hasEnded(): boolean {
    return this.#look() === false;
  }

  #look(): boolean | undefined {
    if (this.#closed) return false;
    try {
      return !ENDED_STATES.includes(parseStat(readFileSync(`${this.folder}/stat`, "utf8")).state);
    } catch (error) {
      return isShortage(error) ? undefined : false;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }
}
