import type { ExecOptions, ExecResult, OutputStream } from "../../api/methods/process-types.ts";
import type { ProcessMethods } from "../../api/methods/processes.ts";
import { FairPool } from "../../base/fair-pool.ts";
import { type SandboxProcess, TakenInput } from "../sandbox/processes.ts";
import { capabilityOf } from "../sandbox/sandbox.ts";
import type { VmServices } from "../vm-services.ts";
import { Capture, CaptureBudget } from "./capture.ts";
import { resolveCommand } from "./command.ts";
import { CommandLife } from "./command-life.ts";
import { MAX_CAPTURED_BYTES, MAX_SERVER_CAPTURED_BYTES } from "./limits.ts";
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

/** Output that the `exec` calls of all VMs capture. */
const captured = new FairPool(MAX_SERVER_CAPTURED_BYTES);

/** Receives all output of a command, captured or not. */
type OutputListener = (stream: OutputStream, data: Buffer) => void;

/** Commands that run to their end. */
export class Commands implements Pick<ProcessMethods, "exec" | "execArgv"> {
  readonly #deps: CommandsDeps;
  readonly #captures = new CaptureBudget(MAX_CAPTURED_BYTES, captured);

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
    onOutput?: OutputListener,
  ): Promise<ExecResult> {
    const vm = this.#deps;
    const action = args === undefined ? "exec" : "execArgv";
    const processes = capabilityOf(await vm.sandbox(), "processes", action);
    const program = args === undefined ? { line: command } : { command, args };
    const input = TakenInput.of(options);
    const request = { ...(await resolveCommand(program, options, vm)), stdin: input !== undefined, input };
    vm.filesMayChange();
    try {
      const startedAt = performance.now();
      const process = await processes.spawn(request);
      const ended = this.#result(process, startedAt, options, onOutput);
      if (input !== undefined) process.closeStdin();
      vm.whileRunning(ended);
      return await ended;
    } finally {
      vm.filesMayHaveChanged();
    }
  }

  /** Captures the output of a command up to its end. The timeout or the output limit may kill it. */
  async #result(
    process: SandboxProcess,
    startedAt: number,
    options: ExecOptions,
    onOutput: OutputListener | undefined,
  ): Promise<ExecResult> {
    const vm = this.#deps;
    const since = Date.now();
    const isCaptured = options.captureStdio !== false;
    const capture = new Capture(isCaptured ? vm.limits.captureBytes : 0, this.#captures);
    const life = new CommandLife(process, vm, options.timeout, startedAt);
    let bytes = 0;
    process.onOutput((stream, data) => {
      onOutput?.(stream, data);
      if (!isCaptured) return;
      capture.push(stream, data);
      bytes += data.length;
      if (options.outputLimit === "kill" && bytes > vm.limits.captureBytes) life.cutShort("outputLimit");
    });
    try {
      const { exitCode, ...end } = await life.end();
      const denials = exitCode === 0 ? [] : vm.denialsSince(since);
      if (isCaptured) capture.push("stderr", noticesOf(end.oomKills, denials));
      const texts = await capture.texts();
      return { exitCode, ...texts, ...end, truncated: capture.truncated };
    } finally {
      capture.release();
    }
  }
}
