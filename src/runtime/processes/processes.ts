import { limitExceeded, processNotFound } from "../../api/errors.ts";
import { MAX_ENDED_PROCESSES, MAX_PENDING_STDIN_BYTES } from "../../api/limits.ts";
import type {
  Bytes,
  ProcessOutput,
  ReadOutputOptions,
  Signal,
  SpawnedProcessInfo,
  SpawnOptions,
  VmProcess,
  VmProcessNode,
} from "../../api/types.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { CommandDefaults } from "./command.ts";
import { resolveCommand, toBytes } from "./command.ts";
import type { ProcessHooks } from "./hooks.ts";
import { processTree } from "./process-tree.ts";
import { toSignalNumber } from "./signals.ts";
import { SpawnedProcess } from "./spawned-process.ts";

/** What spawn has started in one VM: the table behind listProcesses, the signals, stdin and output of each. */
export class Processes {
  readonly #sandbox: () => Promise<Sandbox>;
  readonly #defaults: CommandDefaults;
  readonly #hooks: ProcessHooks;
  /** In order of their start. The newest process of a pid counts: the kernel gives pids out again. */
  readonly #table = new Map<number, SpawnedProcess>();

  constructor(sandbox: () => Promise<Sandbox>, defaults: CommandDefaults, hooks: ProcessHooks) {
    this.#sandbox = sandbox;
    this.#defaults = defaults;
    this.#hooks = hooks;
  }

  async spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): Promise<number> {
    const sandbox = await this.#sandbox();
    const request = resolveCommand(command, args, options, this.#defaults);
    const process = await sandbox.spawn({ ...request, stdin: true });
    const spawned = new SpawnedProcess(process, command, args, this.#hooks);
    // Set anew, so that a pid that comes again stands where its newest process belongs.
    this.#table.delete(spawned.pid);
    this.#table.set(spawned.pid, spawned);
    if (options.stdin !== undefined) spawned.writeStdin(toBytes(options.stdin));
    this.#hooks.keepAwake(spawned.exited);
    void spawned.exited.then(() => this.#forgetOldest());
    return spawned.pid;
  }

  list(): SpawnedProcessInfo[] {
    return [...this.#table.values()].map((process) => process.info);
  }

  info(pid: number): SpawnedProcessInfo {
    return this.#find(pid).info;
  }

  writeStdin(pid: number, data: Bytes): void {
    const process = this.#find(pid);
    const bytes = toBytes(data);
    if (process.pendingStdin + bytes.byteLength > MAX_PENDING_STDIN_BYTES) {
      throw limitExceeded(
        "MAX_PENDING_STDIN_BYTES",
        MAX_PENDING_STDIN_BYTES,
        `Process ${pid} has not read ${process.pendingStdin} bytes of its stdin yet`,
      );
    }
    process.writeStdin(bytes);
  }

  closeStdin(pid: number): void {
    this.#find(pid).closeStdin();
  }

  async wait(pid: number): Promise<number> {
    return (await this.#find(pid).exited).exitCode;
  }

  signal(pid: number, signal: Signal): void {
    this.#find(pid).signal(toSignalNumber(signal));
  }

  output(pid: number, options: ReadOutputOptions = {}): ProcessOutput {
    return this.#find(pid).output(options.after ?? -1);
  }

  async all(): Promise<VmProcess[]> {
    return (await this.#sandbox()).processes();
  }

  async tree(): Promise<VmProcessNode[]> {
    return processTree(await this.all());
  }

  #find(pid: number): SpawnedProcess {
    const process = this.#table.get(pid);
    if (process === undefined) throw processNotFound(pid);
    return process;
  }

  #forgetOldest(): void {
    const ended = [...this.#table.values()].filter((process) => !process.info.running);
    for (const process of ended.slice(0, Math.max(0, ended.length - MAX_ENDED_PROCESSES))) {
      this.#table.delete(process.pid);
    }
  }
}
