import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { ENDED_STATES, HeldProcess } from "../procfs/held-process.ts";
import { sendSignal } from "../procfs/process-trees.ts";
import { childrenOf, readStat } from "../procfs/procfs.ts";
import type { Exit } from "./wait-status.ts";

/** Pause between two looks at a program that has been killed. */
const LOOK_MS = 20;

/** Time for the launcher to kill a program, in milliseconds. Then the server does so itself. */
const KILL_MS = 200;

/** Time for a program to end with the launcher, in milliseconds. A host may hide the program's end. */
const ORPHAN_MS = 10_000;

interface Program {
  pid: number;
  /** From /proc/PID/stat. No other process has it together with the pid. `undefined` if it could not be read. */
  startTime: number | undefined;
  stdin: Socket;
  stdout: Socket;
  stderr: Socket;
}

/** A program that the launcher has started, and the server's ends of its pipes. */
export class Launched {
  readonly pid: number;
  /** Resolves once the program has ended. */
  readonly exited: Promise<Exit>;
  /** Resolves once it has ended and nobody has the other ends of its pipes. */
  readonly closed: Promise<Exit>;
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly stderr: Socket;
  readonly #startTime: number | undefined;
  readonly #askToKill: () => void;
  readonly #exit = Promise.withResolvers<Exit>();
  #exited: Exit | undefined;
  #isKilled = false;

  /** @param askToKill asks the launcher, which cannot take another process for the program */
  constructor({ pid, startTime, stdin, stdout, stderr }: Program, askToKill: () => void) {
    this.pid = pid;
    this.#startTime = startTime;
    this.#askToKill = askToKill;
    this.stdin = stdin;
    this.stdout = stdout;
    this.stderr = stderr;
    this.exited = this.#exit.promise;
    const ends = [stdout, stderr].map(
      (stream) => new Promise<void>((resolve) => stream.once("close", () => resolve())),
    );
    for (const stream of [stdin, stdout, stderr]) stream.on("error", () => stream.destroy());
    this.closed = Promise.all(ends).then(() => this.exited);
  }

  /** How it has ended; `undefined` while it runs. */
  get exit(): Exit | undefined {
    return this.#exited;
  }

  /** Lists its children. The launcher takes its end before the server knows, and then its pid may be another process's. */
  children(): number[] {
    if (!this.#isItself()) return [];
    const children = childrenOf(this.pid);
    return this.#isItself() ? children : [];
  }

  /** Holds its first child. */
  inside(): HeldProcess | undefined {
    if (!this.#isItself()) return undefined;
    const held = HeldProcess.childOf(this.pid);
    if (this.#isItself()) return held;
    held?.close();
    return undefined;
  }

  #isItself(): boolean {
    const startTime = this.#exited === undefined ? readStat(this.pid)?.startTime : undefined;
    return startTime !== undefined && startTime === this.#startTime;
  }

  /** Whether it has certainly ended, also if the launcher has not taken its end. */
  get isOver(): boolean {
    if (this.#exited !== undefined) return true;
    const stat = readStat(this.pid);
    // The host may hide it, or the server has no descriptor left.
    if (stat === undefined) return !isInUse(this.pid);
    const isAnother = this.#startTime !== undefined && stat.startTime !== this.#startTime;
    return isAnother || ENDED_STATES.includes(stat.state);
  }

  /** Ends it, also if the launcher stands still. */
  kill(): void {
    if (this.#exited !== undefined || this.#isKilled) return;
    this.#isKilled = true;
    this.#askToKill();
    void this.#untilOver(KILL_MS, Number.POSITIVE_INFINITY);
  }

  /** For a launcher that has ended: the kernel kills the program, unless it is just changing its user. */
  orphan(): void {
    void this.#untilOver(0, ORPHAN_MS);
  }

  async #untilOver(patience: number, limit: number): Promise<void> {
    const start = performance.now();
    let isSignalled = false;
    while (this.#exited === undefined) {
      const waited = performance.now() - start;
      if (waited >= limit || this.isOver) this.end({ code: null, signal: "SIGKILL" }, Promise.resolve());
      else if (waited >= patience && !isSignalled) {
        // A program that reads ends with its input, also if the host hides it.
        this.stdin.destroy();
        isSignalled = this.#isItself() && sendSignal(this.pid, "SIGKILL");
      }
      await delay(LOOK_MS, undefined, { ref: false });
    }
  }

  /** Closes the pipes. */
  release(): void {
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.destroy();
  }

  /** For the launcher: says how it has ended. @param settled what `exited` waits for */
  end(exit: Exit, settled: Promise<void>): void {
    if (this.#exited !== undefined) return;
    this.#exited = exit;
    void settled.then(() => this.#exit.resolve(exit));
  }
}

/** Whether some process has a pid. Needs neither a descriptor nor /proc. */
function isInUse(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
