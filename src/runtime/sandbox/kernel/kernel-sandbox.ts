import { AgentVmError, vmStopped } from "../../../api/errors.ts";
import type { VmProcess } from "../../../api/methods/process-types.ts";
import type { Env } from "../../../api/values.ts";
import type { VmLimits } from "../../options.ts";
import type { FileSystem } from "../files.ts";
import type { Owner } from "../own-uids.ts";
import type { InputWait, SandboxProcess, SandboxProcesses, SpawnRequest } from "../processes.ts";
import type { Sandbox, SandboxUsage, Standby } from "../sandbox.ts";
import type { SandboxTerminal, SandboxTerminals, TerminalRequest } from "../terminals.ts";
import type { SandboxWatches } from "../watches.ts";
import { type BootedVm, endVm } from "./boot/boot.ts";
import type { Entry, ProgramRequest, StartedCommand } from "./commands/command.ts";
import { OutputShare } from "./commands/output-share.ts";
import { SpawnerStarter } from "./commands/spawner-starter.ts";
import { CwdError, cwdError } from "./commands/start-errors.ts";
import { StdinStore } from "./commands/stdin-store.ts";
import { closeElsewhere } from "./files/descriptors.ts";
import { NamelessFile } from "./files/nameless-file.ts";
import { makeRootReadOnly } from "./files/read-only.ts";
import type { RootedFileSystem } from "./files/rooted-filesystem.ts";
import { HelperLost } from "./helpers/helper-process.ts";
import { KernelMounts } from "./mounts/kernel-mounts.ts";
import { KernelNetwork } from "./network/kernel-network.ts";
import type { PoolPlace } from "./pool-place.ts";
import type { VmCgroup } from "./processes/cgroup.ts";
import { freezeAll } from "./processes/freeze.ts";
import { findInputWaits } from "./processes/input-waits.ts";
import { KernelProcess, type OomWatch, watchOom } from "./processes/kernel-process.ts";
import { LeftPipes } from "./processes/left-pipes.ts";
import { mappedFiles } from "./processes/mappings.ts";
import { heldMemory } from "./processes/memory-parts.ts";
import type { MemoryView } from "./processes/memory-view.ts";
import { listProcesses } from "./processes/process-list.ts";
import { measureFiles, measureVm, sizeOfFiles } from "./processes/usage.ts";
import { ENDED_STATES } from "./procfs/held-process.ts";
import { ProcessReads } from "./procfs/process-reads.ts";
import { everythingBelow, killAll } from "./procfs/process-trees.ts";
import { innermostPid, pidsIn, processStartTime, readStat } from "./procfs/procfs.ts";
import { Tags } from "./procfs/slack-tag.ts";
import { Programs } from "./programs.ts";
import { KernelTerminal } from "./terminal/terminal.ts";
import { terminalMemory } from "./terminal/terminal-end.ts";
import type { Tools } from "./tools.ts";
import { KernelWatches } from "./watch/kernel-watches.ts";

interface KernelSandboxDeps {
  vm: BootedVm;
  files: RootedFileSystem;
  /** Host user of the VM under a root server. */
  owner: Owner | null;
  limits: VmLimits;
  /** Variables of every command. A command's own environment overrides them. */
  env: Env;
  cgroup: VmCgroup | undefined;
  memory: MemoryView | undefined;
  tools: Tools;
  /** Seccomp filter in hexadecimal digits; `""` for none. */
  filter: string;
  /** Open descriptors that a command may have. */
  openFiles: number;
  /** Text of the spawner's program; `""` for a fork. */
  spawner: string;
  /** Place in the pool for calls in which the VM's programs can keep the server waiting. */
  place: PoolPlace;
  /** Frees the VM's host uid. */
  release(): void;
}

const INIT_PID = 1;

/** While a VM ends, host processes that wait for one of its processes get SIGCONT this often. */
const WAKE_MS = 20;

/** One VM: its namespaces, its files and its processes. */
export class KernelSandbox implements Sandbox {
  readonly runtime = "kernel";
  readonly files: FileSystem;
  readonly processes: SandboxProcesses;
  readonly terminals: SandboxTerminals;
  readonly watches: SandboxWatches;
  readonly network: KernelNetwork;
  readonly mounts: KernelMounts;
  readonly crashed: Promise<Error>;
  readonly #deps: KernelSandboxDeps;
  readonly #entry: Entry;
  readonly #starter: SpawnerStarter;
  readonly #openTerminals = new Set<KernelTerminal>();
  readonly #running = new Set<KernelProcess>();
  readonly #leftPipes = new LeftPipes();
  readonly #stdin: StdinStore;
  readonly #ending = new AbortController();
  readonly #reads: ProcessReads;
  readonly #programs = new Programs(() => this.#hasPrograms());
  readonly #watches: KernelWatches;
  /** Limits of the VM now. Only its memory and CPUs follow them at once. */
  #limits: VmLimits;
  #disposal: Promise<void> | undefined;

  constructor(deps: KernelSandboxDeps) {
    const { vm, files, owner, tools, filter, cgroup, limits, openFiles, spawner, place } = deps;
    this.#deps = deps;
    this.files = files;
    this.#entry = {
      initPid: vm.initPid,
      tags: new Tags(vm.initPid),
      owner,
      tools,
      processes: limits.processes,
      openFiles,
      filter,
      spawner,
      cgroupProcs: cgroup?.procs ?? [],
      output: new OutputShare(),
      terminalInput: terminalMemory(),
      ending: this.#ending.signal,
    };
    this.#reads = new ProcessReads(this.#ending.signal, place);
    this.#starter = new SpawnerStarter(this.#entry, vm.spawner);
    this.network = new KernelNetwork(this.#entry, { procFd: vm.procFd, reads: this.#reads }, (path) =>
      files.connect(path),
    );
    this.#watches = new KernelWatches({
      ...{ rootFd: vm.rootFd, owner, perl: tools.perl },
      budget: files.tree.budget,
    });
    const { initPid, rootFd } = vm;
    this.#stdin = new StdinStore(() => new NamelessFile(rootFd, { syscall: "write", path: "/dev/stdin" }));
    const held = () => heldMemory(this.#limits, cgroup !== undefined);
    this.#limits = limits;
    this.mounts = new KernelMounts({
      ...{ initPid, rootFd, files, owner, perl: tools.perl },
      filesBytes: held().files,
      memory: () => ({ memoryBytes: this.#limits.memoryBytes, together: held().together }),
    });
    const shell = tools.bash ?? "sh";
    this.processes = {
      spawn: (request) => this.#programs.start(() => this.#spawn(request, shell)),
      list: () => this.#list(),
      inputWaits: () => this.#inputWaits(),
      count: () => pidsIn(`/proc/self/fd/${vm.procFd}`).length,
      isBusy: async () => this.#running.size + this.#openTerminals.size > 0 || this.#everything().length > 0,
      // The parents of interactive shells continue: script(1) stops itself with its shell.
      freeze: () => freezeAll(() => this.#everything()),
      mappedFiles: () => mappedFiles(vm.procFd, this.#ending.signal),
    };
    this.terminals = { shell, open: (request) => this.#programs.start(() => this.#openTerminal(request)) };
    this.watches = {
      watch: async (request, sink) => {
        this.#assertRunning();
        return await (this.mounts.watch(request, sink) ?? this.#watches.watch(request, sink));
      },
    };
    this.crashed = new Promise((resolve) => {
      void vm.keeper.exited.then(({ code, signal }) => {
        if (this.#disposal === undefined) resolve(new Error(`init ended with ${signal ?? code}`));
      });
    });
  }

  /** `true` if no program can hold the lock of a file of the VM. Others may use the files of its mounts. */
  get isQuiet(): boolean {
    return !this.#programs.mayRun && !this.#deps.files.hasMounts;
  }

  /** Resolves once commands start without delay. */
  get prepared(): Promise<void> {
    return this.#starter.booted;
  }

  setLimits(limits: VmLimits): void {
    this.#limits = limits;
    this.#deps.cgroup?.update(limits);
    this.#deps.memory?.setLimits(limits);
  }

  async standby(): Promise<Standby> {
    this.#assertRunning();
    const { keeper, initPid } = this.#deps.vm;
    const ends = await Promise.all([this.#starter.warm(), this.network.warm()]);
    const startTime = processStartTime(initPid);
    const isAlive = () => {
      if (this.#disposal !== undefined || keeper.exit !== undefined) return false;
      const init = readStat(initPid);
      // After init's end its pid may be another process's.
      return init !== undefined && init.startTime === startTime && !ENDED_STATES.includes(init.state);
    };
    return { isAlive, end: () => ends.forEach((end) => void end()) };
  }

  async usage(): Promise<SandboxUsage> {
    this.#assertRunning();
    const measured = await measureVm(this.#deps.vm, this.#deps.cgroup?.memoryBytes());
    // Another VM may have the number of the descriptor by now.
    this.#assertRunning();
    return { ...measured, connections: this.network.connections };
  }

  async fileBytes(): Promise<number> {
    this.#assertRunning();
    return measureFiles(this.#deps.vm).filesystemBytes;
  }

  async #spawn({ env, cwd, stdin, input, ...program }: SpawnRequest, shell: string): Promise<SandboxProcess> {
    this.#assertRunning();
    const { command, args } = "line" in program ? { command: shell, args: ["-c", program.line] } : program;
    this.#deps.memory?.renew();
    const oom = watchOom(this.#deps.cgroup?.oomKills);
    const held = input && this.#stdin.hold(input.take());
    const request = { command, args, env: { ...this.#deps.env, ...env }, cwd, stdin };
    const started = await this.#start(request, oom).catch((error: unknown) => {
      held?.release();
      throw error;
    });
    if (held) started.stdin.add(held);
    const process = new KernelProcess(started, {
      oom,
      left: this.#leftPipes,
      share: this.#entry.output,
      stdin: this.#stdin,
    });
    this.#running.add(process);
    void process.exited.then(() => this.#running.delete(process));
    return process;
  }

  async #start(request: ProgramRequest, oom: OomWatch): Promise<StartedCommand> {
    try {
      return await this.#starter.start(request);
    } catch (error) {
      if (this.#disposal !== undefined) throw vmStopped();
      if (error instanceof CwdError) throw await cwdError(this.files, error.cwd);
      if (error instanceof HelperLost) {
        // Files have filled the memory, so that not even a spawner fits. The next boot begins with free memory.
        if (oom.kills() > 0) this.#deps.vm.keeper.kill();
        throw new AgentVmError("vm_stopped", `The command could not be started: ${error.message}`);
      }
      throw error;
    }
  }

  async #openTerminal({ env, ...request }: TerminalRequest): Promise<SandboxTerminal> {
    this.#assertRunning();
    const merged = { ...request, env: { ...this.#deps.env, ...env } };
    const terminal = await KernelTerminal.start(merged, this.#entry, this.files).catch((error: unknown) => {
      throw this.#disposal === undefined ? error : vmStopped();
    });
    if (this.#disposal !== undefined) {
      await terminal.killTree();
      throw vmStopped();
    }
    this.#openTerminals.add(terminal);
    void terminal.exited.then(() => this.#openTerminals.delete(terminal));
    return terminal;
  }

  async #list(): Promise<VmProcess[]> {
    this.#assertRunning();
    const listed = await listProcesses(
      this.#deps.vm.procFd,
      this.#deps.owner?.uid ?? process.getuid?.() ?? 0,
      this.#reads.begin(),
    );
    const waiting = new Set((await this.#inputWaits()).map(({ pid }) => pid));
    return listed.map((process) => ({ ...process, waitingForInput: waiting.has(process.pid) }));
  }

  async #inputWaits(): Promise<InputWait[]> {
    this.#assertRunning();
    const stdins = new Map(
      [...this.#running].flatMap(({ stdinName, pid }) => (stdinName ? [[stdinName, pid]] : [])),
    );
    const terminals = new Set([...this.#openTerminals].map(({ pid }) => pid));
    const waits = await findInputWaits(this.#deps.vm.procFd, { stdins, terminals }, this.#reads.begin());
    this.#assertRunning();
    return waits;
  }

  /** Under a root server no program can write in the spawner's place. */
  #hasPrograms(): boolean {
    const { owner, vm } = this.#deps;
    const [spawner = 0] = owner === null ? [] : this.#starter.hostPids;
    const own = [INIT_PID, spawner > 0 ? innermostPid(spawner) : undefined];
    try {
      return !pidsIn(`/proc/self/fd/${vm.procFd}`).every((pid) => own.includes(pid));
    } catch {
      return true;
    }
  }

  async makeRoom(bytes: number): Promise<boolean> {
    const { limits, vm } = this.#deps;
    const wanted = Math.min(bytes, limits.filesystemBytes);
    if (wanted <= sizeOfFiles(vm)) return false;
    await this.mounts.resizeRoot(wanted);
    return true;
  }

  fitRoom(): Promise<void> {
    return this.mounts.fitRoot();
  }

  makeReadOnly(): Promise<void> {
    const { vm, tools } = this.#deps;
    return makeRootReadOnly(vm.initPid, vm.rootFd, tools.perl);
  }

  async halt(): Promise<void> {
    await Promise.all([...this.#running, ...this.#openTerminals].map((process) => process.killTree()));
    await killAll(() => this.#everything());
  }

  /** Lists the host pids of all processes that commands have started, including daemons. */
  #everything(): number[] {
    return [this.#deps.vm.initPid, ...this.#starter.hostPids].flatMap(everythingBelow);
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  async #end(): Promise<void> {
    const { vm, cgroup, memory, files, release } = this.#deps;
    const running = [...this.#running, ...this.#openTerminals].map((process) => process.exited);
    // The kernel kills every process of the VM with init. The server still has to close its ends of their pipes.
    const offline = this.network.close();
    await Promise.all([this.#watches.close(), this.mounts.close()]);
    const ended = endVm(vm);
    const wakeAll = () => {
      for (const terminal of this.#openTerminals) terminal.release();
    };
    // The kernel waits for host processes that wait for a process of the VM. A process of the VM can still stop them.
    const waking = setInterval(wakeAll, WAKE_MS);
    wakeAll();
    this.#ending.abort(vmStopped());
    await Promise.all([offline, ended, this.#starter.close()]).finally(() => clearInterval(waking));
    await Promise.all(running);
    this.#leftPipes.close();
    this.#stdin.close();
    await files.close();
    await closeElsewhere(vm.procFd);
    memory?.close();
    await cgroup?.remove();
    release();
  }

  #assertRunning(): void {
    if (this.#disposal !== undefined) throw vmStopped();
  }
}
