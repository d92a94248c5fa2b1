import type { FileMethods, ProcessMethods, ShellMethods, TransportMethods } from "../api/actions.ts";
import { vmStopped } from "../api/errors.ts";
import type { VmEventName, VmEvents } from "../api/events.ts";
import type {
  BatchReadResult,
  BatchWriteEntry,
  BatchWriteResult,
  Bytes,
  ConnectTerminalOptions,
  DirEntry,
  ExecOptions,
  ExecResult,
  FileReadTransfer,
  OpenShellOptions,
  ProcessOutput,
  ReaddirRecursiveOptions,
  ReadOutputOptions,
  RecursiveOption,
  ShellInfo,
  ShellOutput,
  Signal,
  SpawnedProcessInfo,
  SpawnOptions,
  VirtualStat,
  VmProcess,
  VmProcessNode,
} from "../api/types.ts";
import { Files } from "./filesystem/files.ts";
import { FileTransfers } from "./filesystem/transfers.ts";
import type { VmOptions } from "./options.ts";
import { execute } from "./processes/exec.ts";
import type { ProcessHooks } from "./processes/hooks.ts";
import { Processes } from "./processes/processes.ts";
import { Shells } from "./processes/shells.ts";
import type { Sandbox, SandboxFactory } from "./sandbox/sandbox.ts";
import type { Store } from "./store.ts";

/** What a VM tells its surroundings. */
export type VmHooks = Omit<ProcessHooks, "isStopping">;

/** What a VM does, argument for argument as in the API; the arguments are already checked. */
export type VmRuntime = FileMethods & ProcessMethods & ShellMethods & Omit<TransportMethods, "beginCall">;

/** Everything that lives as long as one boot. */
interface Booted {
  sandbox: Sandbox;
  files: Files;
  transfers: FileTransfers;
}

export interface VmSettings {
  /** Results above this size are refused as response_too_large. @default Infinity */
  maxResultBytes?: number;
  /** What outlives the VM. @default memory of this process */
  store?: Store;
}

/**
 * One VM: files, processes and shells over a sandbox that boots with the first call. Usable without RivetKit:
 * `new Vm(options, hooks)`, call, `dispose()`.
 */
export class Vm implements VmRuntime {
  readonly #factory: SandboxFactory;
  readonly #options: VmOptions;
  readonly #hooks: VmHooks;
  readonly #settings: VmSettings;
  readonly #processes: Processes;
  readonly #shells: Shells;
  #boot: Promise<Booted> | undefined;
  #cancel = new AbortController();
  #disposal: Promise<void> | undefined;

  constructor(options: VmOptions, factory: SandboxFactory, hooks: VmHooks, settings: VmSettings = {}) {
    this.#options = options;
    this.#factory = factory;
    this.#hooks = hooks;
    this.#settings = settings;
    const sandbox = async () => (await this.#booted()).sandbox;
    const defaults = { env: options.env, cwd: options.defaultCwd };
    this.#processes = new Processes(sandbox, defaults, this.#processHooks);
    this.#shells = new Shells(sandbox, { ...defaults, shell: factory.shell }, this.#processHooks);
  }

  // ------------------------------------------------------------- lifecycle

  /** Boots the sandbox if it is not up; a hundred callers boot it once, and after a failure the next one tries again. */
  async boot(): Promise<void> {
    await this.#booted();
  }

  /** Ends everything inside and lets go of everything outside. Idempotent; calls in flight end with `vm_stopped`. */
  dispose(reason: VmEvents["vmShutdown"]["reason"]): Promise<void> {
    this.#disposal ??= this.#end(reason);
    return this.#disposal;
  }

  #booted(): Promise<Booted> {
    if (this.#disposal !== undefined) return Promise.reject(vmStopped());
    if (this.#boot === undefined) {
      const boot = this.#start();
      this.#boot = boot;
      // A failed boot is not kept.
      boot.catch(() => {
        if (this.#boot === boot) this.#boot = undefined;
      });
    }
    return this.#boot;
  }

  async #start(): Promise<Booted> {
    const sandbox = await this.#factory.boot(this.#cancel.signal);
    if (this.#disposal !== undefined) {
      await sandbox.dispose();
      throw vmStopped();
    }
    const settings = { maxResultBytes: this.#settings.maxResultBytes ?? Number.POSITIVE_INFINITY };
    const files = new Files(sandbox.files, settings);
    const booted = { sandbox, files, transfers: new FileTransfers(sandbox.files) };
    void sandbox.crashed.then(() => this.#crash(booted));
    this.#emit("vmBooted", {});
    return booted;
  }

  /** The sandbox ended by itself: what is left of it goes, and the next call boots a new one. */
  async #crash(booted: Booted): Promise<void> {
    if (this.#disposal !== undefined) return;
    this.#boot = undefined;
    this.#emit("vmShutdown", { reason: "error" });
    await booted.transfers.dispose();
    await booted.sandbox.dispose();
  }

  async #end(reason: VmEvents["vmShutdown"]["reason"]): Promise<void> {
    this.#cancel.abort(vmStopped());
    // A boot that fails now has cleaned up after itself.
    const booted = await this.#boot?.catch(() => undefined);
    if (booted === undefined) return;
    await booted.transfers.dispose();
    await booted.sandbox.dispose();
    this.#emit("vmShutdown", { reason });
  }

  get #processHooks(): ProcessHooks {
    return {
      emit: (name, payload) => this.#emit(name, payload),
      keepAwake: (work) => this.#hooks.keepAwake(work),
      isStopping: () => this.#disposal !== undefined,
    };
  }

  #emit<Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void {
    this.#hooks.emit(name, payload);
  }

  async #files(): Promise<Files> {
    return (await this.#booted()).files;
  }

  async #transfers(): Promise<FileTransfers> {
    return (await this.#booted()).transfers;
  }

  // ----------------------------------------------------------------- files

  async readFile(path: string): Promise<Uint8Array> {
    return (await this.#files()).readFile(path);
  }

  async writeFile(path: string, content: Bytes): Promise<void> {
    await (await this.#files()).writeFile(path, content);
  }

  async readFiles(paths: string[]): Promise<BatchReadResult[]> {
    return (await this.#files()).readFiles(paths);
  }

  async writeFiles(entries: BatchWriteEntry[]): Promise<BatchWriteResult[]> {
    return (await this.#files()).writeFiles(entries);
  }

  async stat(path: string): Promise<VirtualStat> {
    return (await this.#files()).stat(path);
  }

  async lstat(path: string): Promise<VirtualStat> {
    return (await this.#files()).lstat(path);
  }

  async exists(path: string): Promise<boolean> {
    return (await this.#files()).exists(path);
  }

  async mkdir(path: string, options?: RecursiveOption): Promise<void> {
    await (await this.#files()).mkdir(path, options);
  }

  async readdir(path: string): Promise<string[]> {
    return (await this.#files()).readdir(path);
  }

  async readdirRecursive(path: string, options?: ReaddirRecursiveOptions): Promise<DirEntry[]> {
    return (await this.#files()).readdirRecursive(path, options);
  }

  async move(from: string, to: string): Promise<void> {
    await (await this.#files()).move(from, to);
  }

  async delete(path: string, options?: RecursiveOption): Promise<void> {
    await (await this.#files()).delete(path, options);
  }

  async deleteFile(path: string, options?: RecursiveOption): Promise<void> {
    await (await this.#files()).delete(path, options);
  }

  // ------------------------------------------------------------- transfers

  async beginFileRead(path: string): Promise<FileReadTransfer> {
    return (await this.#transfers()).beginFileRead(path);
  }

  async readFileChunk(transferId: string, offset: number): Promise<Uint8Array> {
    return (await this.#transfers()).readFileChunk(transferId, offset);
  }

  async beginFileWrite(path: string, size: number): Promise<{ transferId: string }> {
    return (await this.#transfers()).beginFileWrite(path, size);
  }

  async writeFileChunk(transferId: string, offset: number, data: Uint8Array): Promise<void> {
    await (await this.#transfers()).writeFileChunk(transferId, offset, data);
  }

  async commitFileWrite(transferId: string): Promise<void> {
    await (await this.#transfers()).commitFileWrite(transferId);
  }

  async endFileTransfer(transferId: string): Promise<void> {
    await (await this.#transfers()).endFileTransfer(transferId);
  }

  // ------------------------------------------------------------- processes

  async exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    return this.execArgv(this.#factory.shell, ["-c", command], options);
  }

  async execArgv(
    command: string,
    args: readonly string[] = [],
    options: ExecOptions = {},
  ): Promise<ExecResult> {
    const { sandbox } = await this.#booted();
    const { env, defaultCwd: cwd, limits } = this.#options;
    const settings = { env, cwd, captureBytes: limits.captureBytes };
    return execute(sandbox, command, args, options, settings, this.#processHooks);
  }

  async spawn(command: string, args?: string[], options?: SpawnOptions): Promise<{ pid: number }> {
    return { pid: await this.#processes.spawn(command, args, options) };
  }

  spawnProcess(command: string, args?: string[], options?: SpawnOptions): Promise<number> {
    return this.#processes.spawn(command, args, options);
  }

  async listProcesses(): Promise<SpawnedProcessInfo[]> {
    return this.#processes.list();
  }

  async getProcess(pid: number): Promise<SpawnedProcessInfo> {
    return this.#processes.info(pid);
  }

  async writeProcessStdin(pid: number, data: Bytes): Promise<void> {
    this.#processes.writeStdin(pid, data);
  }

  async closeProcessStdin(pid: number): Promise<void> {
    this.#processes.closeStdin(pid);
  }

  waitProcess(pid: number): Promise<number> {
    return this.#processes.wait(pid);
  }

  async stopProcess(pid: number): Promise<void> {
    this.#processes.signal(pid, "SIGTERM");
  }

  async killProcess(pid: number): Promise<void> {
    this.#processes.signal(pid, "SIGKILL");
  }

  async signalProcess(pid: number, signal: Signal): Promise<void> {
    this.#processes.signal(pid, signal);
  }

  allProcesses(): Promise<VmProcess[]> {
    return this.#processes.all();
  }

  processTree(): Promise<VmProcessNode[]> {
    return this.#processes.tree();
  }

  async readProcessOutput(pid: number, options?: ReadOutputOptions): Promise<ProcessOutput> {
    return this.#processes.output(pid, options);
  }

  // ---------------------------------------------------------------- shells

  async openShell(options?: OpenShellOptions): Promise<{ shellId: string }> {
    const { shellId } = await this.#shells.open(options);
    return { shellId };
  }

  async connectTerminal(options?: ConnectTerminalOptions): Promise<number> {
    return (await this.#shells.open(options)).info.pid;
  }

  async writeShell(shellId: string, data: Bytes): Promise<void> {
    this.#shells.write(shellId, data);
  }

  async resizeShell(shellId: string, cols: number, rows: number): Promise<void> {
    this.#shells.resize(shellId, cols, rows);
  }

  closeShell(shellId: string): Promise<void> {
    return this.#shells.close(shellId);
  }

  waitShell(shellId: string): Promise<number> {
    return this.#shells.wait(shellId);
  }

  async listShells(): Promise<ShellInfo[]> {
    return this.#shells.list();
  }

  async readShell(shellId: string, options?: ReadOutputOptions): Promise<ShellOutput> {
    return this.#shells.output(shellId, options);
  }
}
