import { readProc } from "../procfs.ts";

const TICKS_PER_SECOND = 100;

/**
 * CPU of children that have ended, from the server's own counters of the children it has waited for
 * (/proc/self/stat, cutime and cstime): exact to a clock tick of 10 ms, and it includes everything that the child
 * itself had waited for. Children that end in the same turn of the event loop cannot be told apart; then there is no
 * answer. Every child of the runtime must be counted here, lest its CPU be charged to the next.
 */
class ReapedCpu {
  #lastMs = reapedMs();
  #waiting: ((cpuMs: number | undefined) => void)[] = [];

  /** Call when a child's exit is reported; answers within the same turn. */
  ofExit(): Promise<number | undefined> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) setImmediate(() => this.#settle());
    });
  }

  #settle(): void {
    const nowMs = reapedMs();
    const cpuMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(waiting.length === 1 ? cpuMs : undefined);
  }
}

function reapedMs(): number {
  const text = readProc("/proc/self/stat") ?? "";
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[13]) + Number(fields[14])) * 1000) / TICKS_PER_SECOND;
}

export const reapedCpu = new ReapedCpu();
