import { invalidArgument, limitExceeded, processNotFound } from "../../api/errors.ts";
import type {
  ProcessOutput,
  ReadProcessOptions,
  SignalOptions,
  SpawnedPid,
  SpawnedProcessInfo,
  SpawnOptions,
  StartedAt,
  VmProcess,
  VmProcessNode,
} from "../../api/methods/process-types.ts";
import type { RoomMethods } from "../../api/methods/table.ts";
import type { FollowedOutput, FollowOptions, StartRunOptions } from "../../api/methods/transport.ts";
import { MAX_SIGNAL, SIGNAL_NUMBERS, signalName } from "../../api/signals.ts";
import type { Bytes, Signal } from "../../api/values.ts";
import { toBytes } from "../../base/bytes.ts";
import type { Recordings } from "../recordings/recordings.ts";
import type { EndReason } from "../room.ts";
import { type ProgramCall, type ShellLine, TakenInput } from "../sandbox/processes.ts";
import { capabilityOf } from "../sandbox/sandbox.ts";
import type { VmServices } from "../vm-services.ts";
import { resolveCommand } from "./command.ts";
import { type PastProcess, ProcessHistory } from "./history.ts";
import type { InputWatch } from "./input-watch.ts";
import { listed } from "./kept-command.ts";
import { MAX_ENDED_PROCESSES, MAX_PENDING_STDIN_BYTES } from "./limits.ts";
import type { Notices } from "./notices.ts";
import type { ReplayBudget } from "./replay-buffer.ts";
import { type RunLimits, SpawnedProcess } from "./spawned-process.ts";

type ProcessesDeps = Pick<
  VmServices,
  | "sandbox"
  | "store"
  | "limits"
  | "env"
  | "cwd"
  | "emit"
  | "whileRunning"
  | "isStopping"
  | "filesMayHaveChanged"
  | "onFailure"
  | "report"
> &
  Notices & {
    recordings: Pick<Recordings, "around">;
    inputs: InputWatch;
    kept: ReplayBudget;
  };

/** Size of the terminal on which a player shows a process without one. */
const RECORDED_SIZE = { cols: 80, rows: 24 };

/** The processes that `spawn` or `run` started in one VM: their table, signals, stdin and output. */
export class Processes implements RoomMethods<"processes"> {
  readonly #deps: ProcessesDeps;
  /** In the order of their start. The kernel reuses pids; the newest process of a pid counts. */
  readonly #table = new Map<number, SpawnedProcess>();
  readonly #history: ProcessHistory;

  constructor(deps: ProcessesDeps) {
    this.#deps = deps;
    this.#history = new ProcessHistory(deps.store, deps.onFailure);
  }

  /** Stores how the processes ended. A VM that is destroyed needs no record. */
  async settled(reason: EndReason): Promise<void> {
    if (reason === "destroy") this.#history.close();
    else await this.#history.flush();
  }

  async spawn(command: string, args?: string[], options?: SpawnOptions): Promise<SpawnedPid> {
    return await this.#start("spawn", { command, args: args ?? [] }, options);
  }

  async spawnProcess(command: string, args?: string[], options?: SpawnOptions): Promise<number> {
    return (await this.spawn(command, args, options)).pid;
  }

  async startRun(
    command: string,
    args: readonly string[] | null,
    options: StartRunOptions = {},
  ): Promise<SpawnedPid> {
    const { timeout = 0, outputLimit, openStdin = false } = options;
    const outputBytes = outputLimit === "kill" ? this.#deps.limits.captureBytes : Number.POSITIVE_INFINITY;
    const program = args === null ? { line: command } : { command, args };
    return await this.#start("run", program, options, { timeout, outputBytes, openStdin });
  }

  async followProcess(
    pid: number,
    options: FollowOptions = {},
    signal?: AbortSignal,
  ): Promise<FollowedOutput> {
    const process = await this.#find(pid, options.startedAt);
    if ("follow" in process) return await process.follow(options, signal);
    const { captureBytes } = this.#deps.limits;
    const { end, info } = process;
    return { chunks: [], truncated: true, captureBytes, end, startedAt: info.startedAt };
  }

  /** @param run rules for a command of `run`, whose stdin usually ends after the first input */
  async #start(
    action: string,
    program: ProgramCall | ShellLine,
    options: SpawnOptions = {},
    run?: RunLimits,
  ): Promise<SpawnedPid> {
    const { spawn } = capabilityOf(await this.#deps.sandbox(), "processes", action);
    const request = await resolveCommand(program, options, this.#deps);
    const staysOpen = run === undefined || run.openStdin;
    const input = TakenInput.of(options);
    const { command, args } = "line" in program ? { command: program.line, args: [] } : program;
    const about = { ...RECORDED_SIZE, shellId: null, command: [command, ...args] };
    const [process, recorder] = await this.#deps.recordings.around(options.record, about, () =>
      spawn({ ...request, stdin: staysOpen || input !== undefined, input }),
    );
    const spawned = new SpawnedProcess({
      ...{ process, command, args, run, recorder },
      vm: this.#deps,
      budget: this.#deps.kept,
    });
    // Deleted and set again, so that a reused pid moves to the end of the order.
    this.#forget(spawned.pid);
    this.#table.set(spawned.pid, spawned);
    if (staysOpen) this.#deps.inputs.add(spawned.pid, null, spawned.exited);
    else spawned.closeStdin();
    this.#deps.whileRunning(spawned.exited);
    void spawned.exited.then(() => {
      this.#forgetOldest();
      this.#changed();
    });
    this.#changed();
    return { pid: spawned.pid, startedAt: spawned.info.startedAt };
  }

  async listProcesses(): Promise<SpawnedProcessInfo[]> {
    const infos = listed(this.#infos(await this.#history.load()));
    const waiting = await this.#deps.inputs.waiting();
    return infos.map((info) => ({ ...info, waitingForInput: info.running && waiting.has(info.pid) }));
  }

  async getProcess(pid: number): Promise<SpawnedProcessInfo> {
    const { info } = await this.#find(pid);
    if (!info.running) return info;
    return { ...info, waitingForInput: (await this.#deps.inputs.waiting()).has(pid) };
  }

  async writeProcessStdin(pid: number, data: Bytes, { startedAt }: StartedAt = {}): Promise<void> {
    const process = await this.#find(pid, startedAt);
    const bytes = toBytes(data);
    if (process.pendingStdin + bytes.byteLength > MAX_PENDING_STDIN_BYTES) {
      throw limitExceeded(
        { MAX_PENDING_STDIN_BYTES },
        `Process ${pid} has ${process.pendingStdin} bytes of unread stdin`,
        "Wait until it reads.",
      );
    }
    process.writeStdin(bytes);
  }

  async closeProcessStdin(pid: number, { startedAt }: StartedAt = {}): Promise<void> {
    (await this.#find(pid, startedAt)).closeStdin();
  }

  async waitProcess(pid: number, { startedAt }: StartedAt = {}): Promise<number> {
    const { exited } = await this.#find(pid, startedAt);
    return (await exited).exitCode;
  }

  async stopProcess(pid: number, options: SignalOptions = {}): Promise<void> {
    await this.#signal(pid, "SIGTERM", options);
  }

  async killProcess(pid: number, options: SignalOptions = {}): Promise<void> {
    await this.#signal(pid, "SIGKILL", options);
  }

  async signalProcess(pid: number, signal: Signal, options: SignalOptions = {}): Promise<void> {
    await this.#signal(pid, signal, { ...options, tree: options.tree ?? false });
  }

  async #signal(pid: number, signal: Signal, { tree, startedAt }: SignalOptions): Promise<void> {
    const process = await this.#find(pid, startedAt);
    const number = toSignalNumber(signal);
    await process.signal(number, tree === undefined ? "job" : tree ? "tree" : "process");
  }

  async readProcessOutput(
    pid: number,
    { after = -1, startedAt }: ReadProcessOptions = {},
  ): Promise<ProcessOutput> {
    return (await this.#find(pid, startedAt)).output(after);
  }

  async allProcesses(): Promise<VmProcess[]> {
    return await this.#list("allProcesses");
  }

  async processTree(): Promise<VmProcessNode[]> {
    return treeOf(await this.#list("processTree"));
  }

  async #list(action: string): Promise<VmProcess[]> {
    return await capabilityOf(await this.#deps.sandbox(), "processes", action).list();
  }

  /** @param startedAt start of the process that is meant. Pids begin again with each boot */
  async #find(pid: number, startedAt?: number): Promise<SpawnedProcess | PastProcess> {
    const process = this.#table.get(pid) ?? (await this.#history.load()).get(pid);
    if (process === undefined) throw processNotFound(pid);
    if (startedAt !== undefined && startedAt !== process.info.startedAt) throw processNotFound(pid);
    return process;
  }

  /** Past processes stay in the record while it has room for them. */
  #infos(past: ReadonlyMap<number, PastProcess>): SpawnedProcessInfo[] {
    const before = [...past.values()].filter(({ pid }) => !this.#table.has(pid));
    return [...before, ...this.#table.values()].map(({ info }) => info);
  }

  #changed(): void {
    void this.#history.load().then((past) => this.#history.changed(() => this.#infos(past)));
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

/** Returns a signal's number. Takes a number or a name, with or without SIG. 0 only asks whether the process exists. */
function toSignalNumber(signal: Signal): number {
  if (typeof signal === "string") {
    const name = signalName(signal);
    if (name !== undefined) return SIGNAL_NUMBERS[name];
  } else if (Number.isInteger(signal) && signal >= 0 && signal <= MAX_SIGNAL) {
    return signal;
  }
  throw invalidArgument("signal", `a signal's name or a number from 0 to ${MAX_SIGNAL}`, signal);
}

/** Returns processes with their `children`. A process whose parent is not in the list is a root. */
function treeOf(processes: readonly VmProcess[]): VmProcessNode[] {
  const nodes = new Map(
    processes.map((process) => [process.pid, { ...process, children: [] as VmProcessNode[] }]),
  );
  const roots: VmProcessNode[] = [];
  for (const node of nodes.values()) {
    const parent = nodes.get(node.ppid);
    if (parent === undefined) roots.push(node);
    else parent.children.push(node);
  }
  return roots;
}
