import type { Socket } from "node:net";
import { HeldProcess } from "../procfs/held-process.ts";
import { childrenOf, readStat } from "../procfs/procfs.ts";
import type { Exit } from "./wait-status.ts";

interface Program {
  pid: number;
  /** Pid of the launcher. */
  parent: number;
  kill: (signal: NodeJS.Signals) => void;
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
  readonly #kill: (signal: NodeJS.Signals) => void;
  readonly #exit = Promise.withResolvers<Exit>();
  #exited: Exit | undefined;

  constructor({ pid, parent, kill, stdin, stdout, stderr }: Program) {
    this.pid = pid;
    this.#parent = parent;
    this.#kill = kill;
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

  kill(): void {
    // The launcher signals only a program whose end it has not taken: nobody else can have its pid.
    if (this.#exited === undefined) this.#kill("SIGKILL");
  }

  /** Closes the pipes. */
  release(): void {
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.destroy();
  }

  /** For the launcher: says how it has ended. @param settled what `exited` waits for */
  end(exit: Exit, settled: Promise<void>): void {
    this.#exited = exit;
    void settled.then(() => this.#exit.resolve(exit));
  }
}
