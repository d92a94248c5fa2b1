import { constants } from "node:os";
import { pause } from "../../../../base/pace.ts";
import { within } from "../../../../base/within.ts";
import type { ProcessEnd, SandboxProcess } from "../../processes.ts";
import type { StartedCommand } from "../commands/command.ts";
import type { OutputShare } from "../commands/output-share.ts";
import type { StdinStore } from "../commands/stdin-store.ts";
import { killAll, signalAll } from "../procfs/process-trees.ts";
import { readProc, readStat } from "../procfs/procfs.ts";
import type { LeftPipes } from "./left-pipes.ts";

/**
 * Time for background children that hold a command's output after its end.
 * @unit ms
 * @past Later output is dropped.
 */
const DRAIN_MS = 25;

interface KernelProcessDeps {
  oom: OomWatch;
  left: LeftPipes;
  share: OutputShare;
  stdin: StdinStore;
}

/** A command that runs in a VM. */
export class KernelProcess implements SandboxProcess {
  readonly pid: number;
  readonly exited: Promise<ProcessEnd>;
  readonly #command: StartedCommand;
  readonly #oom: OomWatch;
  readonly #left: LeftPipes;
  readonly #stdin: StdinStore;
  #killedTree = false;

  constructor(command: StartedCommand, { oom, left, share, stdin }: KernelProcessDeps) {
    for (const reader of [command.stdout, command.stderr]) reader.shareTurns(share);
    this.#command = command;
    this.#stdin = stdin;
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

  pauseOutput(): void {
    this.#command.stdout.pause();
    this.#command.stderr.pause();
  }

  resumeOutput(): void {
    this.#command.stdout.resume();
    this.#command.stderr.resume();
  }

  get pendingStdin(): number {
    return this.#command.stdin.pending;
  }

  /** Name of the pipe to stdin in /proc/PID/fd; `undefined` once stdin is closed. */
  get stdinName(): string | undefined {
    return this.#command.stdin.name;
  }

  writeStdin(data: Uint8Array): void {
    this.#command.stdin.write(data, (rest) => this.#stdin.hold(rest));
  }

  closeStdin(): void {
    this.#command.stdin.end();
  }

  signal(signal: number): void {
    this.#command.signal(signal);
  }

  async signalAll(signal: number, reach: "job" | "tree"): Promise<void> {
    const leader = this.#command.hostPid();
    const session = leader === undefined ? undefined : readStat(leader)?.session;
    if (reach === "job" && session === undefined) return;
    const find = (): number[] => {
      const tree = this.#command.tree();
      return reach === "tree" ? tree : tree.filter((pid) => readStat(pid)?.session === session);
    };
    if (signal !== constants.signals.SIGKILL) signalAll(find, signal);
    else {
      await killAll(find);
      this.#command.signal(signal);
    }
  }

  killTree(): Promise<void> {
    this.#killedTree = true;
    return this.#command.killTree();
  }

  async #end(): Promise<ProcessEnd> {
    const { code, signal, usage } = await this.#command.ended;
    this.#command.stdin.close();
    await this.#drain();
    const oomKills = this.#oom.kills();
    const oom = signal === "SIGKILL" && !this.#killedTree && oomKills > 0;
    return { ...exitStatus(code, signal), ...usage, oom, oomKills };
  }

  /** Reads the output that is in the pipes when the command ends. Later output is from its background children. */
  async #drain(): Promise<void> {
    const readers = [this.#command.stdout, this.#command.stderr];
    for (const reader of readers) {
      // A thousand commands may end in one turn.
      const turn = pause();
      if (turn !== null) await turn;
      reader.drain();
    }
    if (readers.some((reader) => !reader.ended)) {
      const ended = readers.map((reader) => new Promise<void>((resolve) => reader.onEnd(resolve)));
      await within(Promise.all(ended), DRAIN_MS);
    }
    for (const reader of readers) this.#left.add(reader);
  }
}

function exitStatus(
  code: number | null,
  signal: NodeJS.Signals | null,
): Pick<ProcessEnd, "exitCode" | "signal"> {
  if (signal === null) return { exitCode: code ?? 1, signal: null };
  return { exitCode: 128 + constants.signals[signal], signal };
}

/** Counts processes that the kernel has killed because memory ran out. */
export interface OomWatch {
  kills(): number;
}

/** Starts a watch. @param count number of kills in the VM's cgroup. @default the number on the whole host */
export function watchOom(count: () => number = hostOomKills): OomWatch {
  const before = count();
  return { kills: () => count() - before };
}

function hostOomKills(): number {
  return Number(/^oom_kill (\d+)$/m.exec(readProc("/proc/vmstat") ?? "")?.[1] ?? 0);
}
