import { constants } from "node:os";
import { PROCESS_REPLAY_BYTES } from "../../api/limits.ts";
import type { ExitReason, OutputStream, ProcessOutput, SpawnedProcessInfo } from "../../api/types.ts";
import type { ExitStatus, SandboxProcess } from "../sandbox/sandbox.ts";
import type { ProcessHooks } from "./hooks.ts";
import type { ReplayBudget } from "./replay-budget.ts";
import { ReplayBuffer } from "./replay-buffer.ts";
import { splitEvent } from "./split-event.ts";

const { SIGHUP, SIGINT, SIGQUIT, SIGTERM } = constants.signals;
const STOP_REQUESTS = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

interface Kind {
  stream: OutputStream;
}

/** One object for all chunks of a stream. */
const KINDS: Record<OutputStream, Kind> = { stdout: { stream: "stdout" }, stderr: { stream: "stderr" } };

/** A process that spawn started: its record, its output and its end. */
export class SpawnedProcess {
  readonly pid: number;
  /** Resolves when processExit has been sent. */
  readonly exited: Promise<ExitStatus>;
  readonly #process: SandboxProcess;
  readonly #hooks: ProcessHooks;
  readonly #output: ReplayBuffer<Kind>;
  readonly #info: SpawnedProcessInfo;
  readonly #signalsSent = new Set<number>();

  constructor(
    process: SandboxProcess,
    command: string,
    args: readonly string[],
    hooks: ProcessHooks,
    budget: ReplayBudget,
  ) {
    this.#output = new ReplayBuffer(PROCESS_REPLAY_BYTES, budget);
    this.pid = process.pid;
    this.#process = process;
    this.#hooks = hooks;
    this.#info = {
      pid: process.pid,
      command,
      args: [...args],
      running: true,
      exitCode: null,
      signal: null,
      reason: null,
      startedAt: Date.now(),
      exitedAt: null,
    };
    process.onOutput((stream, data) => this.#publish(stream, data));
    this.exited = this.#end();
  }

  get info(): SpawnedProcessInfo {
    return { ...this.#info, args: [...this.#info.args] };
  }

  get pendingStdin(): number {
    return this.#process.pendingStdin;
  }

  writeStdin(data: Uint8Array): void {
    this.#process.writeStdin(data);
  }

  closeStdin(): void {
    this.#process.closeStdin();
  }

  signal(signal: number): void {
    if (!this.#info.running || signal === 0) return;
    this.#signalsSent.add(signal);
    this.#process.signal(signal);
  }

  output(after: number): ProcessOutput {
    return { ...this.#output.after(after), running: this.#info.running, exitCode: this.#info.exitCode };
  }

  /** It is no longer in the table. */
  forget(): void {
    this.#output.clear();
  }

  #publish(stream: OutputStream, data: Buffer): void {
    for (const piece of splitEvent(data)) {
      const chunk = this.#output.push(KINDS[stream], piece);
      this.#hooks.emit("processOutput", { pid: this.pid, ...chunk });
    }
  }

  async #end(): Promise<ExitStatus> {
    const { exitCode, signal, oom } = await this.#process.exited;
    const reason = this.#reason(signal, oom);
    this.#output.end();
    Object.assign(this.#info, { running: false, exitCode, signal, reason, exitedAt: Date.now() });
    this.#hooks.emit("processExit", {
      pid: this.pid,
      exitCode,
      ...(signal === null ? {} : { signal }),
      reason,
    });
    return { exitCode, signal };
  }

  #reason(signal: NodeJS.Signals | null, oom: boolean): ExitReason {
    if (this.#hooks.isStopping()) return "vm_stopped";
    if (oom) return "oom";
    if (signal !== null) return this.#signalsSent.has(constants.signals[signal]) ? "killed" : "signal";
    // A program that was asked to end may clean up and exit; what it made of other signals is its own affair.
    return STOP_REQUESTS.some((request) => this.#signalsSent.has(request)) ? "killed" : "exit";
  }
}
