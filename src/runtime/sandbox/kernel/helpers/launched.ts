import type { Socket } from "node:net";

/** How a program has ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

interface Pipes {
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
  readonly #kill: (signal: NodeJS.Signals) => void;
  readonly #exit = Promise.withResolvers<Exit>();
  #exited: Exit | undefined;

  constructor(pid: number, kill: (signal: NodeJS.Signals) => void, { stdin, stdout, stderr }: Pipes) {
    this.pid = pid;
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

  kill(): void {
    // The launcher signals only a program whose end it has not taken: nobody else can have its pid.
    if (this.#exited === undefined) this.#kill("SIGKILL");
  }

  /** Closes the pipes. */
  release(): void {
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.destroy();
  }

  /** For the launcher: says how it has ended. */
  end(exit: Exit): void {
    this.#exited = exit;
    this.#exit.resolve(exit);
  }
}
