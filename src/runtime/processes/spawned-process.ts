import type { OutputStream, ProcessOutput, SpawnedProcessInfo } from "../../api/methods/process-types.ts";
import type { FollowedOutput, FollowOptions, ProcessEnd } from "../../api/methods/transport.ts";
import type { Recorder } from "../recordings/recorder.ts";
import type { ExitStatus, SandboxProcess } from "../sandbox/processes.ts";
import type { VmServices } from "../vm-services.ts";
import { CommandLife } from "./command-life.ts";
import type { InputWatch } from "./input-watch.ts";
import { keptCommand } from "./kept-command.ts";
import { PROCESS_REPLAY_BYTES } from "./limits.ts";
import { type Notices, noticesOf } from "./notices.ts";
import { OutputReader } from "./output-reader.ts";
import { type ReplayBudget, ReplayBuffer, splitEvent } from "./replay-buffer.ts";

/** Processes that a signal reaches. `SandboxProcess.signalAll` describes jobs and trees. */
export type Reach = "process" | "job" | "tree";

interface Kind {
  stream: OutputStream;
}

/** One object for all chunks of a stream. */
const KINDS: Record<OutputStream, Kind> = { stdout: { stream: "stdout" }, stderr: { stream: "stderr" } };

type SpawnedProcessDeps = Pick<
  VmServices,
  "limits" | "emit" | "isStopping" | "filesMayHaveChanged" | "report"
> &
  Notices & { inputs: Pick<InputWatch, "touched"> };

/** Limits of a process that `run` starts. Its client reads all its output. */
export interface RunLimits {
  /** Milliseconds after which the process's tree is killed; 0 means no timeout. */
  timeout: number;
  /** Bytes of output past which the process's tree is killed. */
  outputBytes: number;
  /** Whether stdin stays open after the first input. */
  openStdin: boolean;
}

interface SpawnedProcessOptions {
  process: SandboxProcess;
  command: string;
  args: readonly string[];
  vm: SpawnedProcessDeps;
  /** Bytes of output that all processes of the VM share. */
  budget: ReplayBudget;
  /** Limits of a process that `run` starts. */
  run: RunLimits | undefined;
  recorder: Recorder | undefined;
}

/** A process that spawn started: its record, its output and its end. */
export class SpawnedProcess {
  readonly pid: number;
  /** Resolves when processExit has been sent. */
  readonly exited: Promise<ExitStatus>;
  readonly #process: SandboxProcess;
  readonly #vm: SpawnedProcessDeps;
  readonly #output: ReplayBuffer<Kind>;
  readonly #info: SpawnedProcessInfo;
  readonly #reader: OutputReader;
  readonly #life: CommandLife;
  readonly #run: RunLimits | undefined;
  readonly #recorder: Recorder | undefined;
  #outputBytes = 0;
  #ended: ProcessEnd | undefined;

  constructor({ process, command, args, vm, budget, run, recorder }: SpawnedProcessOptions) {
    this.#recorder = recorder;
    this.#reader = new OutputReader(process);
    this.#run = run;
    this.#output = new ReplayBuffer(PROCESS_REPLAY_BYTES, budget);
    this.pid = process.pid;
    this.#process = process;
    this.#vm = vm;
    this.#info = {
      pid: process.pid,
      ...keptCommand({ command, args }),
      running: true,
      exitCode: null,
      signal: null,
      reason: null,
      startedAt: Date.now(),
      exitedAt: null,
      oomKills: 0,
      waitingForInput: false,
    };
    if (run !== undefined) this.#reader.hold();
    this.#life = new CommandLife(process, vm, run?.timeout);
    process.onOutput((stream, data) => {
      this.#publish(stream, data);
      this.#outputBytes += data.length;
      if (run !== undefined && this.#outputBytes > run.outputBytes) this.#life.cutShort("outputLimit");
    });
    this.exited = this.#end();
  }

  get info(): SpawnedProcessInfo {
    return { ...this.#info, args: [...this.#info.args] };
  }

  get pendingStdin(): number {
    return this.#process.pendingStdin;
  }

  writeStdin(data: Uint8Array): void {
    this.#vm.inputs.touched();
    this.#process.writeStdin(data);
  }

  closeStdin(): void {
    this.#process.closeStdin();
  }

  async signal(signal: number, reach: Reach): Promise<void> {
    if (signal === 0 || (!this.#info.running && reach !== "tree")) return;
    this.#life.signalsSent.add(signal);
    if (reach === "process") this.#process.signal(signal);
    else await this.#process.signalAll(signal, reach);
  }

  output(after: number): ProcessOutput {
    return { ...this.#output.after(after), running: this.#info.running, exitCode: this.#info.exitCode };
  }

  /** Returns output after a chunk as soon as there is some, and the end. */
  async follow(options: FollowOptions, signal?: AbortSignal): Promise<FollowedOutput> {
    const { after = -1, waitMs = 0, hold = false } = options;
    const isUpToDate = this.#output.nextSeq <= after + 1;
    if (hold && isUpToDate) this.#reader.hold();
    if (isUpToDate) await this.#reader.change(waitMs, signal);
    if (hold) this.#reader.hold();
    else this.#reader.release();
    const { captureBytes } = this.#vm.limits;
    const { startedAt } = this.#info;
    return { ...this.#output.after(after), captureBytes, end: this.#ended ?? null, startedAt };
  }

  /** Drops the output, when the process leaves the table. */
  forget(): void {
    this.#output.clear();
  }

  #publish(stream: OutputStream, data: Buffer): void {
    this.#vm.inputs.touched();
    for (const piece of splitEvent(data)) {
      const chunk = this.#output.push(KINDS[stream], piece);
      this.#vm.emit("processOutput", { pid: this.pid, ...chunk });
    }
    this.#recorder?.output(stream, data);
    this.#reader.published(data.length);
    this.#vm.filesMayHaveChanged();
  }

  async #end(): Promise<ExitStatus> {
    const end = await this.#life.end();
    const { exitCode, signal, reason, oomKills } = end;
    const hasFailed = this.#run !== undefined && exitCode !== 0;
    const denials = hasFailed ? this.#vm.denialsSince(this.#info.startedAt) : [];
    this.#publish("stderr", noticesOf(oomKills, denials));
    this.#output.end();
    this.#recorder?.ended();
    this.#ended = end;
    Object.assign(this.#info, { running: false, exitCode, signal, reason, exitedAt: Date.now(), oomKills });
    this.#vm.emit("processExit", {
      pid: this.pid,
      exitCode,
      ...(signal !== null && { signal }),
      reason,
      ...(oomKills > 0 && { oomKills }),
    });
    this.#reader.ended();
    this.#vm.filesMayHaveChanged();
    return { exitCode, signal };
  }
}
