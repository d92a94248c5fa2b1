import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { HeldProcess } from "../procfs/held-process.ts";
import { sendSignal } from "../procfs/process-trees.ts";
import type { Excerpt } from "./excerpt.ts";
import type { HelperBody } from "./helper-process.ts";
import { openPipe } from "./open-pipe.ts";

/** Errors of procfs for a process that ends, and of its pipe that nobody reads any more. */
const ENDED_CODES = ["ENOENT", "ESRCH", "ENXIO"];

/** Pause between two looks at a process that has been killed. */
const LOOK_MS = 2;

/**
 * A helper that a boot has forked in the VM. Its parent is another process, so the server learns of its end by its pipe. A process of the
 * VM may hold that pipe: so each question for its processes is also a look at whether it lives.
 */
export class ForkedHelper implements HelperBody {
  readonly isForked = true;
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly errors: Excerpt;
  readonly gone: Promise<void>;
  readonly closed: Promise<void>;
  readonly #held: HeldProcess;
  #end: () => void = () => undefined;

  private constructor(held: HeldProcess, stdin: number, stdout: number, errors: Excerpt) {
    this.#held = held;
    this.stdin = new Socket({ fd: stdin, readable: false, writable: true });
    this.stdout = new Socket({ fd: stdout, readable: true, writable: false });
    this.errors = errors;
    this.gone = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.closed = new Promise((resolve) => this.stdout.once("close", () => resolve()));
    void this.closed.then(() => this.#untilDead());
  }

  /**
   * @param parent its parent, as whose second child it was forked
   * @param ends its descriptors of the server's ends of its pipes
   * @returns `undefined` if it has ended
   */
  static open(parent: number, ends: readonly [number, number], errors: Excerpt): ForkedHelper | undefined {
    const held = HeldProcess.childOf(parent, 1);
    if (held === undefined) return undefined;
    const open: number[] = [];
    try {
      open.push(openPipe(held.folder, ends[0], "write"));
      open.push(openPipe(held.folder, ends[1], "read"));
      const [stdin, stdout] = open as [number, number];
      return new ForkedHelper(held, stdin, stdout, errors);
    } catch (error) {
      for (const fd of open) closeSync(fd);
      // It holds the ends until it is told to close them, or ends. The descriptors of an ended process belong to root.
      const hasEnded = held.hasEnded || ENDED_CODES.includes((error as NodeJS.ErrnoException).code ?? "");
      held.close();
      if (hasEnded) return undefined;
      throw error;
    }
  }

  children(): number[] {
    if (this.#held.hasEnded) this.#end();
    return this.#held.isAlive ? [this.#held.pid] : [];
  }

  inside(): HeldProcess {
    return this.#held;
  }

  kill(): void {
    void this.#untilDead();
  }

  release(): void {
    this.stdin.destroy();
    this.stdout.destroy();
    this.#held.close();
  }

  /** Nothing follows on its pipe. */
  async #untilDead(): Promise<void> {
    while (!this.#held.hasEnded) {
      // Without a descriptor left the server cannot look, and the pid may be another process's.
      for (const pid of this.children()) sendSignal(pid, "SIGKILL");
      await delay(LOOK_MS, undefined, { ref: false });
    }
    this.#end();
  }
}
