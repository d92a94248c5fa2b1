import type { ExecOptions, ExecResult, ExitReason, OutputStream } from "../../api/types.ts";
import type { Sandbox, SandboxProcess } from "../sandbox/sandbox.ts";
import { Capture } from "./capture.ts";
import type { CaptureBudget } from "./capture-budget.ts";
import { type CommandDefaults, resolveCommand, toBytes } from "./command.ts";
import type { ProcessHooks } from "./hooks.ts";

export interface ExecSettings extends CommandDefaults {
  /** Captured bytes of one exec. */
  captureBytes: number;
  /** What all execs of the VM may capture together. */
  budget: CaptureBudget;
  /** Hears all output, also what is not captured. */
  onOutput?: (stream: OutputStream, data: Buffer) => void;
}

/** Runs a program to its end and answers all about it. */
export async function execute(
  sandbox: Sandbox,
  command: string,
  args: readonly string[],
  options: ExecOptions,
  settings: ExecSettings,
  hooks: ProcessHooks,
): Promise<ExecResult> {
  const request = resolveCommand(command, args, options, settings);
  const startedAt = performance.now();
  const process = await sandbox.spawn({ ...request, stdin: options.stdin !== undefined });
  const execution = new Execution(process, options, settings);
  if (options.stdin !== undefined) {
    process.writeStdin(toBytes(options.stdin));
    process.closeStdin();
  }
  const ended = execution.result(startedAt, hooks);
  hooks.keepAwake(ended);
  return ended;
}

/** One run and what may cut it short. */
class Execution {
  readonly #process: SandboxProcess;
  readonly #capture: Capture;
  #cut: "timeout" | "outputLimit" | undefined;
  #timer: NodeJS.Timeout | undefined;
  #killing: Promise<void> | undefined;

  constructor(process: SandboxProcess, options: ExecOptions, settings: ExecSettings) {
    const { captureBytes, budget, onOutput } = settings;
    this.#process = process;
    this.#capture = new Capture(options.captureStdio === false ? 0 : captureBytes, budget);
    process.onOutput((stream, data) => {
      onOutput?.(stream, data);
      if (options.captureStdio === false) return;
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

  async result(startedAt: number, hooks: ProcessHooks): Promise<ExecResult> {
    const { exitCode, signal, oom, cpuMs, maxRssBytes } = await this.#process.exited;
    clearTimeout(this.#timer);
    // The command itself ends first; its daemons must be gone, too, when the call returns.
    await this.#killing;
    const durationMs = Math.round((performance.now() - startedAt) * 1000) / 1000;
    return {
      exitCode,
      ...this.#capture.texts(),
      signal,
      timedOut: this.#cut === "timeout",
      reason: this.#reason(signal, oom, hooks),
      truncated: this.#capture.truncated,
      durationMs,
      cpuMs,
      maxRssBytes,
    };
  }

  #reason(signal: string | null, oom: boolean, hooks: ProcessHooks): ExitReason {
    if (this.#cut !== undefined) return this.#cut;
    if (hooks.isStopping()) return "vm_stopped";
    if (oom) return "oom";
    return signal === null ? "exit" : "signal";
  }
}
