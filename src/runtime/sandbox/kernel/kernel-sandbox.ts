import { closeSync, readFileSync } from "node:fs";
import { AgentVmError, vmStopped } from "../../../api/errors.ts";
import type { VmProcess } from "../../../api/types.ts";
import type { VmLimits } from "../../options.ts";
import type { FileSystem } from "../files.ts";
import type {
  FileWatch,
  FileWatchRequest,
  FileWatchSink,
  Sandbox,
  SandboxProcess,
  SandboxTerminal,
  SpawnRequest,
  TerminalRequest,
} from "../sandbox.ts";
import { type BootedVm, endKeeper } from "./boot.ts";
import type { VmCgroup } from "./cgroup.ts";
import { cwdError } from "./cwd.ts";
import { freezeAll } from "./freeze.ts";
import { LeftPipes } from "./left-pipes.ts";
import { mappedFiles } from "./mappings.ts";
import { KernelNetwork } from "./network/kernel-network.ts";
import { watchOom } from "./oom.ts";
import { KernelProcess } from "./process.ts";
import { listProcesses } from "./process-list.ts";
import {
  type CommandStarter,
  CwdError,
  type Entry,
  type StartedCommand,
  StarterLost,
} from "./start/command.ts";
import { createStarter, type StarterKind } from "./start/starter.ts";
import { Tags } from "./tag.ts";
import { KernelTerminal } from "./terminal.ts";
import type { Tools } from "./tools.ts";
import { everythingBelow, killAll } from "./tree.ts";
import { KernelWatches } from "./watch/kernel-watches.ts";

export interface KernelSandboxParts {
  vm: BootedVm;
  files: FileSystem;
  owner: { uid: number; gid: number } | null;
  limits: VmLimits;
  cgroup: VmCgroup | undefined;
  tools: Tools;
  starter: StarterKind | undefined;
  /** Gives back what the factory took for this VM. */
  release(): void;
}

/** While a VM ends, whatever waits outside for one of its processes is woken this often. */
const WAKE_MS = 20;

/** One VM: its namespaces, its files and all that runs in it. */
export class KernelSandbox implements Sandbox {
  readonly files: FileSystem;
  readonly network: KernelNetwork;
  readonly crashed: Promise<Error>;
  readonly #parts: KernelSandboxParts;
  readonly #entry: Entry;
  readonly #starter: CommandStarter;
  readonly #terminals = new Set<KernelTerminal>();
  readonly #processes = new Set<KernelProcess>();
  readonly #leftPipes = new LeftPipes();
  readonly #ending = new AbortController();
  readonly #watches: KernelWatches;
  #disposal: Promise<void> | undefined;

  constructor(parts: KernelSandboxParts) {
    const { vm, files, owner, tools, cgroup, limits, starter } = parts;
    this.#parts = parts;
    this.files = files;
    this.#entry = {
      initPid: vm.initPid,
      tags: new Tags(vm.initPid),
      owner,
      tools,
      processes: limits.processes,
      openFiles: openFilesLimit(limits.openFiles),
      cgroupProcs: cgroup?.procs ?? [],
      ending: this.#ending.signal,
    };
    this.#starter = createStarter(this.#entry, starter);
    this.network = new KernelNetwork(this.#entry, vm.procFd, starter === "launcher" ? "node" : undefined);
    this.#watches = new KernelWatches({ rootFd: vm.rootFd, owner, perl: tools.perl });
    this.crashed = new Promise((resolve) => {
      vm.keeper.once("exit", (code, signal) => {
        if (this.#disposal === undefined) resolve(new Error(`init ended with ${signal ?? code}`));
      });
    });
  }

  async spawn(request: SpawnRequest): Promise<SandboxProcess> {
    this.#assertRunning();
    const oom = watchOom(this.#parts.cgroup?.oomKills);
    const command = await this.#start(request);
    const process = new KernelProcess(command, oom, this.#leftPipes);
    this.#processes.add(process);
    void process.exited.then(() => this.#processes.delete(process));
    return process;
  }

  async #start(request: SpawnRequest): Promise<StartedCommand> {
    try {
      return await this.#starter.start(request);
    } catch (error) {
      if (this.#disposal !== undefined) throw vmStopped();
      if (error instanceof CwdError) throw await cwdError(this.files, error.cwd);
      if (error instanceof StarterLost) {
        throw new AgentVmError("vm_stopped", `The command could not be started: ${error.message}`);
      }
      throw error;
    }
  }

  async terminal(request: TerminalRequest): Promise<SandboxTerminal> {
    this.#assertRunning();
    const terminal = await KernelTerminal.start(request, this.#entry, this.files).catch((error: unknown) => {
      throw this.#disposal === undefined ? error : vmStopped();
    });
    if (this.#disposal !== undefined) {
      await terminal.killTree();
      throw vmStopped();
    }
    this.#terminals.add(terminal);
    void terminal.exited.then(() => this.#terminals.delete(terminal));
    return terminal;
  }

  async watch(request: FileWatchRequest, sink: FileWatchSink): Promise<FileWatch> {
    this.#assertRunning();
    return await this.#watches.watch(request, sink);
  }

  processes(): Promise<VmProcess[]> {
    this.#assertRunning();
    return listProcesses(this.#parts.vm.procFd, this.#parts.owner?.uid ?? process.getuid?.() ?? 0);
  }

  async isBusy(): Promise<boolean> {
    return this.#processes.size + this.#terminals.size > 0 || this.#everything().length > 0;
  }

  /**
   * Interactive shells go on: script(1) stops itself with its shell. So do commands of hosts without perl, whose parents
   * are outside.
   */
  freeze(): Promise<() => void> {
    return freezeAll(() => this.#everything());
  }

  mappedFiles(): Promise<ReadonlySet<number>> {
    return mappedFiles(this.#parts.vm.procFd);
  }

  async halt(): Promise<void> {
    await Promise.all([...this.#processes, ...this.#terminals].map((process) => process.killTree()));
    await killAll(() => this.#everything());
  }

  /** Host pids of what commands have started, also of daemons. */
  #everything(): number[] {
    return [this.#parts.vm.initPid, ...this.#starter.hostPids].flatMap(everythingBelow);
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  async #end(): Promise<void> {
    const { vm, cgroup, files, release } = this.#parts;
    const running = [...this.#processes, ...this.#terminals].map((process) => process.exited);
    // The kernel kills everything inside with init; what is left here are the ends of its pipes.
    await Promise.all([this.network.close(), this.#watches.close()]);
    const ended = endKeeper(vm.keeper);
    const wakeAll = () => {
      for (const process of [...this.#processes, ...this.#terminals]) process.release();
    };
    // The kernel waits for those outside that wait for a process inside, and one may stop even now.
    const waking = setInterval(wakeAll, WAKE_MS);
    wakeAll();
    this.#ending.abort();
    await Promise.all([ended, this.#starter.close()]);
    clearInterval(waking);
    await Promise.all(running);
    this.#leftPipes.close();
    await files.close();
    closeSync(vm.procFd);
    await cgroup?.remove();
    release();
  }

  #assertRunning(): void {
    if (this.#disposal !== undefined) throw vmStopped();
  }
}

let hardLimit: number | undefined;

/** A shell that is told to raise a limit above the server's own hard limit fails. */
function openFilesLimit(wanted: number): number {
  const text = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  hardLimit ??= text === "unlimited" || text === undefined ? Number.POSITIVE_INFINITY : Number(text);
  return Math.min(wanted, hardLimit);
}
