import type { ExecOptions, ExecResult, ExitReason, OutputStream } from "../../api/methods/process-types.ts";
import type { ProcessMethods } from "../../api/methods/processes.ts";
import { type SandboxProcess, TakenInput } from "../sandbox/processes.ts";
import { capabilityOf } from "../sandbox/sandbox.ts";
import type { VmServices } from "../vm-services.ts";
import { Capture, CaptureBudget } from "./capture.ts";
import { resolveCommand } from "./command.ts";
import { MAX_CAPTURED_BYTES } from "./limits.ts";
import { type Notices, noticesOf } from "./notices.ts";

type CommandsDeps = Pick<
  VmServices,
  | "sandbox"
  | "limits"
  | "env"
  | "cwd"
  | "whileRunning"
  | "isStopping"
  | "filesMayChange"
  | "filesMayHaveChanged"
  | "report"
> &
  Notices;

/** Captures the output of one `exec`. */
interface ExecOutput {
  /** Captured bytes of one exec. */
  captureBytes: number;
  /** Captured bytes of all execs of the VM together. */
  budget: CaptureBudget;
  /** Receives all output, captured or not. */
  onOutput?: (stream: OutputStream, data: Buffer) => void;
}

/** Commands that run to their end. */
export class Commands implements Pick<ProcessMethods, "exec" | "execArgv"> {
  readonly #deps: CommandsDeps;
  readonly #captures = new CaptureBudget(MAX_CAPTURED_BYTES);

  constructor(deps: CommandsDeps) {
    this.#deps = deps;
  }

  exec(command: string, options?: ExecOptions): Promise<ExecResult> {
    return this.run(command, undefined, options);
  }

  execArgv(command: string, args: readonly string[] = [], options?: ExecOptions): Promise<ExecResult> {
    return this.run(command, args, options);
  }

  /** @param args `undefined` if `command` is a shell line */
  async run(
    command: string,
    args: readonly string[] | undefined,
    options: ExecOptions = {},
    onOutput?: ExecOutput["onOutput"],
  ): Promise<ExecResult> {
    const vm = this.#deps;
    const action = args === undefined ? "exec" : "execArgv";
    const processes = capabilityOf(await vm.sandbox(), "processes", action);
    const { captureBytes } = vm.limits;
    const output = { captureBytes, budget: this.#captures, ...(onOutput && { onOutput }) };
    const program = args === undefined ? { line: command } : { command, args };
    const input = TakenInput.of(options);
    const request = { ...(await resolveCommand(program, options, vm)), stdin: input !== undefined, input };
    vm.filesMayChange();
    try {
      const startedAt = performance.now();
      const process = await processes.spawn(request);
      const execution = new Execution(process, options, output);
      if (input !== undefined) process.closeStdin();
      const ended = execution.result(startedAt, vm);
      vm.whileRunning(ended);
      return await ended;
    } finally {
      vm.filesMayHaveChanged();
    }
  }
}

/** A run of a command. The timeout or the output limit may kill it. */
class Execution {
  readonly #process: SandboxProcess;
  readonly #capture: Capture;
  readonly #isCaptured: boolean;
  readonly #startedAt = Date.now();
  #cut: "timeout" | "outputLimit" | undefined;
  #timer: NodeJS.Timeout | undefined;
  #killing: Promise<void> | undefined;

  constructor(process: SandboxProcess, options: ExecOptions, output: ExecOutput) {
    const { captureBytes, budget, onOutput } = output;
    this.#process = process;
    this.#isCaptured = options.captureStdio !== false;
    this.#capture = new Capture(this.#isCaptured ? captureBytes : 0, budget);
    process.onOutput((stream, data) => {
      onOutput?.(stream, data);
      if (!this.#isCaptured) return;
      this.#capture.push(stream, data);
      if (options.outputLimit === "kill" && this.#capture.truncated) this.#cutShort("outputLimit");
    });
    if (options.timeout) this.#timer = setTimeout(() => this.#cutShort("timeout"), options.timeout);
  }

  #cutShort(why: "timeout" | "outputLimit"): void {
    if (this.#cut !== undefined) return;
    this.#cut = why;
    this.#killing = this.#process.killTree();
  }

  async result(startedAt: number, vm: CommandsDeps): Promise<ExecResult> {
    const { exitCode, signal, oom, oomKills, cpuMs, maxRssBytes } = await this.#process.exited;
    const denials = exitCode === 0 ? [] : vm.denialsSince(this.#startedAt);
    if (this.#isCaptured) this.#capture.push("stderr", noticesOf(oomKills, denials));
    clearTimeout(this.#timer);
    // The command ends first. Its daemons must be gone too before the call returns.
    await this.#killing;
    const durationMs = Math.round((performance.now() - startedAt) * 1000) / 1000;
    const reason = this.#reason(signal, oom, vm);
    if (oomKills > 0) vm.report({ kind: "outOfMemory", kills: oomKills });
    vm.report({ kind: "commandEnded", ms: durationMs, reason });
    return {
      exitCode,
      ...this.#capture.texts(),
      signal,
      timedOut: this.#cut === "timeout",
      reason,
      truncated: this.#capture.truncated,
      durationMs,
      cpuMs,
      maxRssBytes,
      oomKills,
    };
  }

  #reason(signal: string | null, oom: boolean, vm: CommandsDeps): ExitReason {
    if (this.#cut !== undefined) return this.#cut;
    if (vm.isStopping()) return "vm_stopped";
    if (oom) return "oom";
    return signal === null ? "exit" : "signal";
  }
}
