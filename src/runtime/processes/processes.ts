import type { ProcessMethods } from "../../api/actions.ts";
import { limitExceeded, processNotFound } from "../../api/errors.ts";
import { MAX_ENDED_PROCESSES, MAX_KEPT_OUTPUT_BYTES, MAX_PENDING_STDIN_BYTES } from "../../api/limits.ts";
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
import type { ProcessHistory } from "./history.ts";
import type { ProcessHooks } from "./hooks.ts";
import { PastProcess } from "./past-process.ts";
import { processTree } from "./process-tree.ts";
import { ReplayBudget } from "./replay-budget.ts";
import { toSignalNumber } from "./signals.ts";
import { SpawnedProcess } from "./spawned-process.ts";

/** What spawn has started in one VM: the table behind listProcesses, the signals, stdin and output of each. */
export class Processes implements Omit<ProcessMethods, "exec" | "execArgv"> {
  readonly #sandbox: () => Promise<Sandbox>;
  readonly #defaults: CommandDefaults;
  readonly #hooks: ProcessHooks;
  /** In order of their start. The newest process of a pid counts: the kernel gives pids out again. */
  readonly #table = new Map<number, SpawnedProcess>();
  readonly #history: ProcessHistory | undefined;
  #pastProcesses: Promise<ReadonlyMap<number, PastProcess>> | undefined;
  readonly #kept = new ReplayBudget(MAX_KEPT_OUTPUT_BYTES);

  constructor(
    sandbox: () => Promise<Sandbox>,
    defaults: CommandDefaults,
    hooks: ProcessHooks,
    history?: ProcessHistory,
  ) {
    this.#sandbox = sandbox;
    this.#defaults = defaults;
    this.#hooks = hooks;
    this.#history = history;
  }

  async spawn(command: string, args?: string[], options?: SpawnOptions): Promise<{ pid: number }> {
    return { pid: await this.spawnProcess(command, args, options) };
  }

  async spawnProcess(
    command: string,
    args: readonly string[] = [],
    options: SpawnOptions = {},
  ): Promise<number> {
    const sandbox = await this.#sandbox();
    const request = resolveCommand(command, args, options, this.#defaults);
    const process = await sandbox.spawn({ ...request, stdin: true });
    const spawned = new SpawnedProcess(process, command, args, this.#hooks, this.#kept);
    // Set anew, so that a pid that comes again stands where its newest process belongs.
    this.#forget(spawned.pid);
    this.#table.set(spawned.pid, spawned);
    if (options.stdin !== undefined) spawned.writeStdin(toBytes(options.stdin));
    this.#hooks.keepAwake(spawned.exited);
    void spawned.exited.then(() => {
      this.#forgetOldest();
      this.#changed();
    });
    this.#changed();
    return spawned.pid;
  }

  async listProcesses(): Promise<SpawnedProcessInfo[]> {
    const past = [...(await this.#past()).values()].filter(({ pid }) => !this.#table.has(pid));
    return [...past, ...this.#table.values()].map(({ info }) => info);
  }

  async getProcess(pid: number): Promise<SpawnedProcessInfo> {
    return (await this.#find(pid)).info;
  }

  async writeProcessStdin(pid: number, data: Bytes): Promise<void> {
    const process = await this.#find(pid);
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

  async closeProcessStdin(pid: number): Promise<void> {
    (await this.#find(pid)).closeStdin();
  }

  async waitProcess(pid: number): Promise<number> {
    const { exited } = await this.#find(pid);
    return (await exited).exitCode;
  }

  stopProcess(pid: number): Promise<void> {
    return this.signalProcess(pid, "SIGTERM");
  }

  killProcess(pid: number): Promise<void> {
    return this.signalProcess(pid, "SIGKILL");
  }

  async signalProcess(pid: number, signal: Signal): Promise<void> {
    (await this.#find(pid)).signal(toSignalNumber(signal));
  }

  async readProcessOutput(pid: number, options: ReadOutputOptions = {}): Promise<ProcessOutput> {
    return (await this.#find(pid)).output(options.after ?? -1);
  }

  async allProcesses(): Promise<VmProcess[]> {
    return (await this.#sandbox()).processes();
  }

  async processTree(): Promise<VmProcessNode[]> {
    return processTree(await this.allProcesses());
  }

  async #find(pid: number): Promise<SpawnedProcess | PastProcess> {
    const process = this.#table.get(pid) ?? (await this.#past()).get(pid);
    if (process === undefined) throw processNotFound(pid);
    return process;
  }

  async #past(): Promise<ReadonlyMap<number, PastProcess>> {
    if (this.#history === undefined) return new Map();
    this.#pastProcesses ??= this.#history
      .load()
      .then((infos) => new Map(infos.map((info) => [info.pid, new PastProcess(info)])));
    return this.#pastProcesses;
  }

  #changed(): void {
    // What came before stays in the record as long as there is room for it.
    void this.#past().then((past) => {
      const infos = () => {
        const before = [...past.values()].filter(({ pid }) => !this.#table.has(pid));
        return [...before, ...this.#table.values()].map(({ info }) => info);
      };
      this.#history?.changed(infos);
    });
  }

  #forgetOldest(): void {
    const ended = [...this.#table.values()].filter((process) => !process.info.running);
    for (const process of ended.slice(0, Math.max(0, ended.length - MAX_ENDED_PROCESSES))) {
      this.#forget(process.pid);
    }
  }

  #forget(pid: number): void {
    this.#table.get(pid)?.forget();
    this.#table.delete(pid);
  }
}
