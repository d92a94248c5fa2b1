import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { ENDED_STATES, HeldProcess } from "../procfs/held-process.ts";
import { sendSignal } from "../procfs/process-trees.ts";
import { childrenOf, readStat } from "../procfs/procfs.ts";
import type { Exit } from "./wait-status.ts";

/** Pause between two looks at a program that has been killed. */
const LOOK_MS = 20;

interface Program {
  pid: number;
  /** Pid of the launcher. */
  parent: number;
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
  readonly #parent: number;
  readonly #exit = Promise.withResolvers<Exit>();
  #exited: Exit | undefined;

  constructor({ pid, parent, stdin, stdout, stderr }: Program) {
    this.pid = pid;
    this.#parent = parent;
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
    return this.#exited === undefined && readStat(this.pid)?.ppid === this.#parent;
  }

  /** Whether it has ended, also if the launcher has not taken its end. */
  get isOver(): boolean {
    const stat = readStat(this.pid);
    return this.#exited !== undefined || stat?.ppid !== this.#parent || ENDED_STATES.includes(stat.state);
  }

  kill(): void {
    if (!this.#isItself()) return;
    sendSignal(this.pid, "SIGKILL");
    void this.#untilOver();
  }

  /** Looks whether it has ended, since the launcher may stand still. */
  async #untilOver(): Promise<void> {
    while (this.#exited === undefined) {
      await delay(LOOK_MS, undefined, { ref: false });
      if (this.isOver) this.end({ code: null, signal: "SIGKILL" }, Promise.resolve());
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
