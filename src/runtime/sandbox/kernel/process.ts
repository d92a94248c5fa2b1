import { constants } from "node:os";
import { pause } from "../pace.ts";
import type { ExitStatus, ResourceUsage, SandboxProcess } from "../sandbox.ts";
import type { LeftPipes } from "./left-pipes.ts";
import type { OomWatch } from "./oom.ts";
import type { StartedCommand } from "./start/command.ts";

/** After the end of a command, its output is over when its pipes are, or after this long: a background child holds them. */
const DRAIN_MS = 25;

/** A command that runs in a VM. */
export class KernelProcess implements SandboxProcess {
  readonly pid: number;
  readonly exited: Promise<ExitStatus & ResourceUsage & { oom: boolean }>;
  readonly #command: StartedCommand;
  readonly #oom: OomWatch;
  readonly #left: LeftPipes;
  #killedTree = false;

  constructor(command: StartedCommand, oom: OomWatch, left: LeftPipes) {
    this.#command = command;
    this.#oom = oom;
    this.#left = left;
    this.pid = command.pid;
    this.exited = this.#end();
  }

  onOutput(listener: (stream: "stdout" | "stderr", data: Buffer) => void): void {
    this.#command.stdout.listen((data) => listener("stdout", data));
    this.#command.stderr.listen((data) => listener("stderr", data));
  }

  onStdoutEnd(listener: () => void): void {
    this.#command.stdout.onEnd(listener);
  }

  pauseStdout(): void {
    this.#command.stdout.pause();
  }

  resumeStdout(): void {
    this.#command.stdout.resume();
  }

  get pendingStdin(): number {
    return this.#command.stdin.pending;
  }

  writeStdin(data: Uint8Array): void {
    this.#command.stdin.write(data);
  }

  closeStdin(): void {
    this.#command.stdin.end();
  }

  signal(signal: number): void {
    this.#command.signal(signal);
  }

  killTree(): Promise<void> {
    this.#killedTree = true;
    return this.#command.killTree();
  }

  /** The VM has ended. */
  release(): void {
    this.#command.release();
  }

  async #end(): Promise<ExitStatus & ResourceUsage & { oom: boolean }> {
    const { code, signal, usage } = await this.#command.ended;
    this.#command.stdin.close();
    await this.#drain();
    const oom = signal === "SIGKILL" && !this.#killedTree && this.#oom.hasKilled();
    return { ...exitStatus(code, signal), ...usage, oom };
  }

  /** What the command wrote is in its pipes when it ends; what its background children go on to write is not its output. */
  async #drain(): Promise<void> {
    const readers = [this.#command.stdout, this.#command.stderr];
    for (const reader of readers) {
      // A thousand commands may end in one turn.
      const turn = pause();
      if (turn !== null) await turn;
      reader.drain();
    }
    if (readers.some((reader) => !reader.ended)) {
      await Promise.race([
        Promise.all(readers.map((reader) => new Promise<void>((resolve) => reader.onEnd(resolve)))),
        new Promise((resolve) => setTimeout(resolve, DRAIN_MS)),
      ]);
    }
    for (const reader of readers) this.#left.add(reader);
  }
}

function exitStatus(code: number | null, signal: NodeJS.Signals | null): ExitStatus {
  if (signal === null) return { exitCode: code ?? 1, signal: null };
  return { exitCode: 128 + constants.signals[signal], signal };
}
