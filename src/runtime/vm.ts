import type {
  CronMethods,
  FileMethods,
  NetworkMethods,
  ProcessMethods,
  SessionMethods,
  ShellMethods,
  SnapshotMethods,
  TransportMethods,
  WatchMethods,
} from "../api/actions.ts";
import { AgentVmError, vmStopped } from "../api/errors.ts";
import type { VmEventName, VmEvents } from "../api/events.ts";
import { MAX_CAPTURED_BYTES, MAX_TRANSFERS, TRANSFER_IDLE_MS } from "../api/limits.ts";
import type {
  AgentType,
  ArchiveImport,
  BatchReadResult,
  BatchWriteEntry,
  BatchWriteResult,
  Bytes,
  CheckpointResult,
  ConnectTerminalOptions,
  CreateSessionOptions,
  CronJobInfo,
  CronRun,
  DirEntry,
  Env,
  ExecOptions,
  ExecResult,
  FileChange,
  FileReadTransfer,
  FileWatchInfo,
  GetSequencedEventsOptions,
  JsonRpcResponse,
  ListCronRunsOptions,
  NetworkLogEntry,
  NetworkPolicy,
  NetworkPolicyInfo,
  OpenShellOptions,
  PermissionRequest,
  PersistedSessionEvent,
  PersistedSessionRecord,
  PreviewInfo,
  PreviewUrl,
  ProcessOutput,
  PromptResult,
  ReaddirRecursiveOptions,
  ReadOutputOptions,
  RecursiveOption,
  RestoreOptions,
  RootSnapshotExport,
  ScheduledCronJob,
  SequencedSessionEvent,
  SerializableCronJobOptions,
  SessionConfigOption,
  SessionInfo,
  SessionModeState,
  SessionRecord,
  ShellInfo,
  ShellOutput,
  Signal,
  SnapshotInfo,
  SpawnedProcessInfo,
  SpawnOptions,
  TarReadTransfer,
  UndoResult,
  VirtualStat,
  VmFetchOptions,
  VmFetchResponse,
  VmPort,
  VmProcess,
  VmProcessNode,
  WaitForPortOptions,
  WatchFilesOptions,
} from "../api/types.ts";
import { codedStore } from "./coded-store.ts";
import { Cron, type CronHooks } from "./cron/cron.ts";
import { Files } from "./filesystem/files.ts";
import { ResultBudget } from "./filesystem/result-budget.ts";
import { TransferTable } from "./filesystem/transfer-table.ts";
import { FileTransfers } from "./filesystem/transfers.ts";
import { FileWatches } from "./filesystem/watches.ts";
import { Mutex } from "./mutex.ts";
import { Network } from "./network/network.ts";
import type { OutboundSeams } from "./network/outbound/outbound.ts";
import type { PreviewFetch } from "./network/preview-fetch.ts";
import type { PreviewRequest, PreviewUpgrade } from "./network/preview-proxy.ts";
import type { VmOptions } from "./options.ts";
import { diffTrees, readTree } from "./persistence/diff.ts";
import { DurableFiles } from "./persistence/durable-files.ts";
import { exportTree } from "./persistence/export.ts";
import { ForkSource } from "./persistence/fork.ts";
import { Persistence } from "./persistence/persistence.ts";
import { excludes } from "./persistence/scan.ts";
import { Snapshots } from "./persistence/snapshots.ts";
import { undoPaths } from "./persistence/undo.ts";
import { CaptureBudget } from "./processes/capture-budget.ts";
import { type ExecSettings, execute } from "./processes/exec.ts";
import { ProcessHistory } from "./processes/history.ts";
import type { ProcessHooks } from "./processes/hooks.ts";
import { Processes } from "./processes/processes.ts";
import { Shells } from "./processes/shells.ts";
import type { Sandbox, SandboxFactory } from "./sandbox/sandbox.ts";
import { agentsOf } from "./sessions/agents/index.ts";
import { Sessions } from "./sessions/sessions.ts";
import { MemoryStore, type Store } from "./store.ts";
import type { ChangeTree } from "./tar/import.ts";
import { RootFilesystem } from "./tar/root-filesystem.ts";
import { TarTransfers } from "./tar/transfers.ts";

/** What a VM tells its surroundings. */
export interface VmHooks extends Omit<ProcessHooks, "isStopping">, Pick<CronHooks, "wakeAt"> {
  /** Whether anybody would hear of an event. @default always */
  hasListeners?(name: VmEventName): boolean;
  /** Awaited before each boot, such as for files that are still on their way into the store. @default nothing */
  beforeBoot?(): Promise<void>;
  /**
   * Answers an agent that asks for permission: with `once`, `always`, `reject` or an optionId of the agent's, or with
   * `undefined` to leave it to those who listen.
   */
  onPermissionRequest?(
    sessionId: string,
    request: PermissionRequest,
  ): Promise<string | undefined> | string | undefined;
}

/** What a VM does, argument for argument as in the API; the arguments are already checked. */
export type VmRuntime = FileMethods &
  ProcessMethods &
  ShellMethods &
  Omit<SnapshotMethods, "fork"> &
  WatchMethods &
  CronMethods &
  SessionMethods &
  Omit<NetworkMethods, "vmFetch" | "waitForPort" | "createSignedPreviewUrl"> &
  Omit<TransportMethods, "beginCall">;

/** Everything that lives as long as one boot. */
interface Booted {
  sandbox: Sandbox;
  files: Files;
  transfers: FileTransfers;
  tars: TarTransfers;
  /** `undefined` where there is no store. */
  persistence: Persistence | undefined;
}

/** After these, files may have changed. */
const MAY_CHANGE_FILES: ReadonlySet<VmEventName> = new Set([
  "processOutput",
  "processExit",
  "shellData",
  "shellExit",
  "sessionEvent",
  "agentCrashed",
]);

const AS_A_STREAM = "exportSnapshot() of this package's client streams the whole tree as a tar archive.";
const IN_PARTS = "This package's client streams it; or export less of it.";

export interface VmSettings {
  /** Results above this size are refused as response_too_large. @default Infinity */
  maxResultBytes?: number;
  /** Keeps the VM's files. @default none: they end with the VM */
  store?: Store;
  /** What a new VM starts from. @default what the options say */
  rootFilesystem?: RootFilesystem;
  /** Told of a checkpoint that nobody waited for and that failed. @default nobody */
  onCheckpointFailure?(error: unknown): void;
  /** For tests: how names are resolved for the outbound proxy, and whose certificates it trusts. @default the system's */
  outbound?: OutboundSeams;
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
  readonly #rootFilesystem: RootFilesystem | undefined;
  readonly #history: ProcessHistory | undefined;
  readonly #processes: Processes;
  readonly #shells: Shells;
  readonly #captures = new CaptureBudget(MAX_CAPTURED_BYTES);
  readonly #cron: Cron;
  readonly #sessions: Sessions;
  readonly #watches: FileWatches;
  readonly #network: Network;
  #boot: Promise<Booted> | undefined;
  /** The boot that has come up and not gone down. */
  #live: Booted | undefined;
  /** Other files are being put in place; a boot waits for it. */
  #replacement: Promise<void> | undefined;
  /** Files whose content is lost are left out, once somebody has said so. */
  #allowMissing = false;
  #cancel = new AbortController();
  #disposal: Promise<void> | undefined;

  constructor(options: VmOptions, factory: SandboxFactory, hooks: VmHooks, settings: VmSettings = {}) {
    this.#options = options;
    this.#factory = factory;
    this.#hooks = hooks;
    const store = settings.store && codedStore(settings.store);
    this.#settings = { ...settings, ...(store && { store }) };
    const { rootFilesystem } = options;
    this.#rootFilesystem =
      settings.rootFilesystem ??
      (rootFilesystem === undefined ? undefined : new RootFilesystem(rootFilesystem));
    const sandbox = async () => (await this.#booted()).sandbox;
    const outboundEnv = () => this.#env;
    const defaults = {
      get env() {
        return outboundEnv();
      },
      cwd: options.defaultCwd,
    };
    const { onCheckpointFailure = () => undefined } = settings;
    this.#history = store && new ProcessHistory(store, onCheckpointFailure);
    this.#processes = new Processes(sandbox, defaults, this.#processHooks, this.#history);
    this.#network = new Network({
      sandbox,
      current: () => this.#live?.sandbox,
      emit: (name, payload) => this.#emit(name, payload),
      store: store ?? new MemoryStore(),
      options: options.network,
      seams: settings.outbound,
      maxResultBytes: settings.maxResultBytes ?? Number.POSITIVE_INFINITY,
    });
    this.#shells = new Shells(sandbox, Object.assign(defaults, { shell: factory.shell }), this.#processHooks);
    this.#sessions = this.#makeSessions();
    this.#cron = this.#makeCron();
    this.#watches = new FileWatches({
      store: store ?? new MemoryStore(),
      emit: (event) => this.#emit("fileChanged", event),
      onFailure: onCheckpointFailure,
    });
  }

  // ------------------------------------------------------------- lifecycle

  /** Boots the sandbox if it is not up; a hundred callers boot it once, and after a failure the next one tries again. */
  async boot(): Promise<void> {
    await this.#booted();
  }

  /** Ends everything inside and lets go of everything outside. Idempotent; calls in flight end with `vm_stopped`. */
  dispose(reason: VmEvents["vmShutdown"]["reason"]): Promise<void> {
    this.#cron.stop();
    this.#sessions.stop();
    this.#disposal ??= this.#end(reason).finally(() =>
      Promise.all([this.#cron.settled(), this.#sessions.settled()]),
    );
    return this.#disposal;
  }

  /** Fires cron jobs that are due. To be called when their alarm rings and when the VM wakes; harmless at other times. */
  ringCron(): Promise<void> {
    return this.#cron.ring();
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
    await this.#replacement;
    await Promise.race([this.#hooks.beforeBoot?.(), aborted(this.#cancel.signal)]);
    const sandbox = await this.#factory.boot(this.#cancel.signal);
    if (this.#disposal !== undefined) {
      await sandbox.dispose();
      throw vmStopped();
    }
    try {
      // Storage that does not answer must not keep the VM from ending.
      const furnishing = this.#furnish(sandbox);
      const booted = await Promise.race([furnishing, aborted(this.#cancel.signal)]).catch(
        (error: unknown) => {
          // Storage may answer yet.
          furnishing.then(({ persistence }) => persistence?.close(false)).catch(() => undefined);
          throw error;
        },
      );
      this.#live = booted;
      void sandbox.crashed.then(() => this.#crash(booted));
      this.#emit("vmBooted", {});
      void this.#watches.booted(sandbox);
      return booted;
    } catch (error) {
      await sandbox.dispose();
      throw error;
    }
  }

  /** Puts back what the store has, and sets up the rooms that a sandbox carries. */
  async #furnish(sandbox: Sandbox): Promise<Booted> {
    await this.#network.outbound.booted(sandbox);
    const settings = { maxResultBytes: this.#settings.maxResultBytes ?? Number.POSITIVE_INFINITY };
    const persistence = await this.#persist(sandbox);
    const table = new TransferTable(MAX_TRANSFERS, TRANSFER_IDLE_MS);
    const isExcluded = excludes(this.#options.persistence.exclude);
    if (persistence === undefined) {
      const changes = new Mutex();
      const change: ChangeTree = (work) => changes.run(work);
      const tars = new TarTransfers(sandbox.files, { table, isExcluded, change });
      const transfers = new FileTransfers(sandbox.files, { table });
      return { sandbox, files: new Files(sandbox.files, settings), transfers, tars, persistence };
    }
    const files = new DurableFiles(sandbox.files, settings, persistence);
    const transfers = new FileTransfers(sandbox.files, { table, placed: () => persistence.keepNow() });
    const change: ChangeTree = (work) => persistence.changeTree(work);
    const tars = new TarTransfers(sandbox.files, { table, isExcluded, change });
    return { sandbox, files, transfers, tars, persistence };
  }

  async #persist(sandbox: Sandbox): Promise<Persistence | undefined> {
    const { store, onCheckpointFailure = () => undefined } = this.#settings;
    const plant = async () => this.#rootFilesystem?.plant(sandbox.files);
    if (store === undefined) {
      await plant();
      return undefined;
    }
    const { checkpoint, persistence } = this.#options;
    return await Persistence.open(
      store,
      sandbox.files,
      { intervalMs: checkpoint.intervalMs, exclude: persistence.exclude },
      { allowMissing: this.#allowMissing },
      {
        ...(this.#rootFilesystem && { plant }),
        keepAwake: (work) => this.#hooks.keepAwake(work),
        isBusy: () => sandbox.isBusy(),
        freeze: () => sandbox.freeze(),
        mappedFiles: () => sandbox.mappedFiles(),
        onFailure: onCheckpointFailure,
      },
    );
  }

  /** The sandbox ended by itself: what is left of it goes, and the next call boots a new one. */
  async #crash(booted: Booted): Promise<void> {
    if (this.#disposal !== undefined) return;
    this.#boot = undefined;
    this.#live = undefined;
    this.#emit("vmShutdown", { reason: "error" });
    // The next boot restores what this one keeps.
    this.#replacement = this.#close(booted, true).catch((error: unknown) => {
      this.#settings.onCheckpointFailure?.(error);
    });
    await this.#replacement;
  }

  async #end(reason: VmEvents["vmShutdown"]["reason"]): Promise<void> {
    this.#cancel.abort(vmStopped());
    this.#network.dispose();
    // A boot that fails now has cleaned up after itself.
    const booted = await this.#boot?.catch(() => undefined);
    // What is destroyed need not be kept.
    if (reason !== "destroy") await this.#replacement;
    if (booted === undefined) return;
    try {
      await this.#close(booted, reason !== "destroy");
      if (reason === "destroy") this.#history?.close();
      else await this.#history?.flush();
    } finally {
      this.#emit("vmShutdown", { reason });
    }
  }

  async #close({ sandbox, transfers, persistence }: Booted, keep: boolean): Promise<void> {
    this.#watches.ended();
    try {
      await transfers.dispose();
      if (persistence !== undefined) {
        if (keep) await sandbox.halt();
        await persistence.close(keep);
      }
    } finally {
      await sandbox.dispose();
    }
  }

  get #processHooks(): ProcessHooks {
    return {
      emit: (name, payload) => this.#emit(name, payload),
      keepAwake: (work) => {
        this.#network.watch.during(work);
        this.#hooks.keepAwake(work);
      },
      isStopping: () => this.#disposal !== undefined,
    };
  }

  #emit<Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void {
    this.#hooks.emit(name, payload);
    if (MAY_CHANGE_FILES.has(name)) this.#live?.persistence?.touch();
  }

  /** The way out, and over it what the actor's options say. */
  get #env(): Env {
    return { ...this.#network.outbound.env, ...this.#options.env };
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

  // --------------------------------------------------------- durable files

  async snapshotRootFilesystem(): Promise<RootSnapshotExport> {
    const { sandbox } = await this.#booted();
    const { exclude } = this.#options.persistence;
    const maximum = this.#settings.maxResultBytes ?? Number.POSITIVE_INFINITY;
    const budget = new ResultBudget("snapshotRootFilesystem", maximum, AS_A_STREAM);
    return exportTree(sandbox.files.tree, excludes(exclude), budget);
  }

  async checkpoint(): Promise<CheckpointResult> {
    return (await this.#persistence()).checkpoint();
  }

  async restore({ allowMissing = false }: RestoreOptions = {}): Promise<void> {
    this.#allowMissing = allowMissing;
    try {
      await this.#booted();
    } finally {
      this.#allowMissing = false;
    }
  }

  async createSnapshot(name?: string): Promise<SnapshotInfo> {
    return (await this.#snapshots()).create(name);
  }

  async listSnapshots(): Promise<SnapshotInfo[]> {
    return (await this.#snapshots()).list();
  }

  async deleteSnapshot(snapshotId: string): Promise<void> {
    await (await this.#snapshots()).delete(snapshotId);
  }

  async restoreSnapshot(snapshotId: string): Promise<void> {
    const booted = await this.#booted();
    const persistence = await this.#persistence();
    new Snapshots(persistence).find(snapshotId);
    if (this.#live !== booted) throw vmStopped();
    this.#boot = undefined;
    this.#live = undefined;
    // The next call boots, and must find this one done.
    const done = this.#replace(booted, persistence, snapshotId);
    this.#replacement = done.catch(() => undefined);
    await done;
  }

  async diff(snapshotId?: string): Promise<FileChange[]> {
    const persistence = await this.#persistence();
    const { archive } = persistence;
    const maximum = this.#settings.maxResultBytes ?? Number.POSITIVE_INFINITY;
    const budget = new ResultBudget("diff", maximum, "Compare in the VM, with exec.");
    const root =
      snapshotId === undefined
        ? archive.root
        : await archive.rootOfSnapshot(new Snapshots(persistence).find(snapshotId));
    // Read before the checkpoint, which may collect it.
    const before = await readTree(archive.entries(root));
    return persistence.withCheckpoint(() => diffTrees(before, archive.entries(archive.root), budget));
  }

  async undo(paths: string[], snapshotId?: string): Promise<UndoResult[]> {
    const persistence = await this.#persistence();
    const { files, store } = persistence;
    return persistence.changeTree(async (archive) => {
      const root =
        snapshotId === undefined
          ? archive.root
          : await archive.rootOfSnapshot(new Snapshots(persistence).find(snapshotId));
      return undoPaths(paths, archive.entries(root), files, store);
    });
  }

  async exportTar(path = "/"): Promise<Uint8Array> {
    const { pieces } = await (await this.#tars()).pack(path);
    return await this.#gather("exportTar", pieces);
  }

  async exportSnapshot(): Promise<Uint8Array> {
    const { pieces } = await (await this.#tars()).pack();
    return await this.#gather("exportSnapshot", pieces);
  }

  async importTar(data: Uint8Array, path = "/"): Promise<ArchiveImport> {
    return (await this.#tars()).importTar(data, path);
  }

  /** Takes a checkpoint, and holds it while work reads it. */
  async withForkSource<Result>(work: (source: ForkSource) => Promise<Result>): Promise<Result> {
    const persistence = await this.#persistence();
    return await persistence.withCheckpoint((archive) => work(new ForkSource(persistence.store, archive)));
  }

  async #gather(action: string, pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
    const maximum = this.#settings.maxResultBytes ?? Number.POSITIVE_INFINITY;
    const budget = new ResultBudget(action, maximum, IN_PARTS);
    const parts: Uint8Array[] = [];
    for await (const piece of pieces) {
      budget.addBytes(piece.length);
      parts.push(piece);
    }
    return Buffer.concat(parts);
  }

  async #replace(booted: Booted, persistence: Persistence, snapshotId: string): Promise<void> {
    this.#sessions.suspend();
    let isReplaced = false;
    try {
      await booted.sandbox.halt();
      await persistence.adopt(snapshotId);
      isReplaced = true;
    } finally {
      // Where the snapshot could not be put in place, what processes wrote is kept.
      await this.#close(booted, !isReplaced).catch(this.#settings.onCheckpointFailure ?? (() => undefined));
      this.#emit("vmShutdown", { reason: "sleep" });
    }
  }

  async #snapshots(): Promise<Snapshots> {
    return new Snapshots(await this.#persistence());
  }

  async #persistence(): Promise<Persistence> {
    const { persistence } = await this.#booted();
    if (persistence === undefined) throw new AgentVmError("no_storage", "This VM has no storage");
    return persistence;
  }

  // --------------------------------------------------------------- watches

  async watchFiles(path: string, options?: WatchFilesOptions): Promise<string> {
    const { sandbox } = await this.#booted();
    return await this.#watches.watch(sandbox, path, options);
  }

  unwatchFiles(watchId: string): Promise<void> {
    return this.#watches.unwatch(watchId);
  }

  listWatches(): Promise<FileWatchInfo[]> {
    return this.#watches.list();
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

  async beginTarRead(path?: string): Promise<TarReadTransfer> {
    return (await this.#tars()).beginTarRead(path);
  }

  async readTarChunk(transferId: string, offset: number): Promise<Uint8Array> {
    return (await this.#tars()).readTarChunk(transferId, offset);
  }

  async beginTarWrite(path: string): Promise<{ transferId: string }> {
    return (await this.#tars()).beginTarWrite(path);
  }

  async writeTarChunk(transferId: string, offset: number, data: Uint8Array): Promise<void> {
    await (await this.#tars()).writeTarChunk(transferId, offset, data);
  }

  async commitTarWrite(transferId: string): Promise<ArchiveImport> {
    return (await this.#tars()).commitTarWrite(transferId);
  }

  async #tars(): Promise<TarTransfers> {
    return (await this.#booted()).tars;
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
    return this.#execute(command, args, options);
  }

  async #execute(
    command: string,
    args: readonly string[],
    options: ExecOptions,
    onOutput?: ExecSettings["onOutput"],
  ): Promise<ExecResult> {
    const { sandbox } = await this.#booted();
    const { defaultCwd: cwd, limits } = this.#options;
    const settings = {
      env: this.#env,
      cwd,
      captureBytes: limits.captureBytes,
      budget: this.#captures,
      ...(onOutput && { onOutput }),
    };
    this.#live?.persistence?.begin();
    try {
      return await execute(sandbox, command, args, options, settings, this.#processHooks);
    } finally {
      this.#live?.persistence?.touch();
    }
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
    await this.#processes.writeStdin(pid, data);
  }

  async closeProcessStdin(pid: number): Promise<void> {
    await this.#processes.closeStdin(pid);
  }

  waitProcess(pid: number): Promise<number> {
    return this.#processes.wait(pid);
  }

  async stopProcess(pid: number): Promise<void> {
    await this.#processes.signal(pid, "SIGTERM");
  }

  async killProcess(pid: number): Promise<void> {
    await this.#processes.signal(pid, "SIGKILL");
  }

  async signalProcess(pid: number, signal: Signal): Promise<void> {
    await this.#processes.signal(pid, signal);
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

  // ------------------------------------------------------------------ cron

  #makeCron(): Cron {
    const { runtime, cron } = this.#options;
    const { shell } = this.#factory;
    return new Cron(
      {
        store: this.#settings.store ?? new MemoryStore(),
        timezone: cron.timezone,
        hasProcesses: runtime === "kernel",
        run: (command, args, options, onOutput) =>
          args === undefined
            ? this.#execute(shell, ["-c", command], options, onOutput)
            : this.#execute(command, args, options, onOutput),
        prompt: (action, timeoutMs) => this.#sessions.promptOnce(action, timeoutMs),
      },
      this.#hooks,
    );
  }

  scheduleCron(options: SerializableCronJobOptions): Promise<ScheduledCronJob> {
    return this.#cron.scheduleCron(options);
  }

  listCronJobs(): Promise<CronJobInfo[]> {
    return this.#cron.listCronJobs();
  }

  cancelCronJob(id: string): Promise<void> {
    return this.#cron.cancelCronJob(id);
  }

  listCronRuns(jobId?: string, options?: ListCronRunsOptions): Promise<CronRun[]> {
    return this.#cron.listCronRuns(jobId, options);
  }

  runCronJob(id: string): Promise<{ runId: string }> {
    return this.#cron.runCronJob(id);
  }

  pauseCronJob(id: string): Promise<void> {
    return this.#cron.pauseCronJob(id);
  }

  resumeCronJob(id: string): Promise<void> {
    return this.#cron.resumeCronJob(id);
  }

  // -------------------------------------------------------------- sessions

  #makeSessions(): Sessions {
    const { runtime, sessions } = this.#options;
    return new Sessions({
      sandbox: async () => (await this.#booted()).sandbox,
      files: () => this.#files(),
      env: () => this.#env,
      shell: this.#factory.shell,
      agents: agentsOf(this.#options),
      store: this.#settings.store ?? new MemoryStore(),
      permissionTimeoutMs: sessions.permissionTimeoutMs,
      hasProcesses: runtime === "kernel",
      maxResultBytes: this.#settings.maxResultBytes ?? Number.POSITIVE_INFINITY,
      emit: (name, payload) => this.#emit(name, payload),
      keepAwake: (work) => this.#processHooks.keepAwake(work),
      touchFiles: () => this.#live?.persistence?.touch(),
      keepFiles: () => this.#keepFiles(),
      hasListeners: (name) => this.#hooks.hasListeners?.(name) ?? true,
      ...(this.#hooks.onPermissionRequest && { onPermissionRequest: this.#hooks.onPermissionRequest }),
    });
  }

  /** What is in the files now is durable when this resolves, where there is a store that takes it. */
  async #keepFiles(): Promise<void> {
    if (this.#disposal !== undefined) return;
    try {
      await this.#live?.persistence?.checkpoint();
    } catch (error) {
      this.#settings.onCheckpointFailure?.(error);
    }
  }

  createSession(agentType: string, options?: CreateSessionOptions): Promise<SessionRecord> {
    return this.#sessions.createSession(agentType, options);
  }

  listSessions(): Promise<SessionRecord[]> {
    return this.#sessions.listSessions();
  }

  listPersistedSessions(): Promise<PersistedSessionRecord[]> {
    return this.#sessions.listPersistedSessions();
  }

  getSession(sessionId: string): Promise<SessionInfo> {
    return this.#sessions.getSession(sessionId);
  }

  resumeSession(sessionId: string): Promise<SessionRecord> {
    return this.#sessions.resumeSession(sessionId);
  }

  listAgents(): Promise<AgentType[]> {
    return this.#sessions.listAgents();
  }

  sendPrompt(sessionId: string, prompt: string): Promise<PromptResult> {
    return this.#sessions.sendPrompt(sessionId, prompt);
  }

  prompt(sessionId: string, text: string): Promise<PromptResult> {
    return this.#sessions.prompt(sessionId, text);
  }

  cancelPrompt(sessionId: string): Promise<JsonRpcResponse> {
    return this.#sessions.cancelPrompt(sessionId);
  }

  cancelSession(sessionId: string): Promise<JsonRpcResponse> {
    return this.#sessions.cancelSession(sessionId);
  }

  closeSession(sessionId: string): Promise<void> {
    return this.#sessions.closeSession(sessionId);
  }

  destroySession(sessionId: string): Promise<void> {
    return this.#sessions.destroySession(sessionId);
  }

  respondPermission(sessionId: string, permissionId: string, reply: string): Promise<JsonRpcResponse> {
    return this.#sessions.respondPermission(sessionId, permissionId, reply);
  }

  setMode(sessionId: string, modeId: string): Promise<JsonRpcResponse> {
    return this.#sessions.setMode(sessionId, modeId);
  }

  setModel(sessionId: string, model: string): Promise<JsonRpcResponse> {
    return this.#sessions.setModel(sessionId, model);
  }

  setThoughtLevel(sessionId: string, level: string): Promise<JsonRpcResponse> {
    return this.#sessions.setThoughtLevel(sessionId, level);
  }

  getModes(sessionId: string): Promise<SessionModeState | null> {
    return this.#sessions.getModes(sessionId);
  }

  getConfigOptions(sessionId: string): Promise<SessionConfigOption[]> {
    return this.#sessions.getConfigOptions(sessionId);
  }

  getSequencedEvents(
    sessionId: string,
    options?: GetSequencedEventsOptions,
  ): Promise<SequencedSessionEvent[]> {
    return this.#sessions.getSequencedEvents(sessionId, options);
  }

  getSessionEvents(sessionId: string): Promise<PersistedSessionEvent[]> {
    return this.#sessions.getSessionEvents(sessionId);
  }

  // --------------------------------------------------------------- network

  /** @param signal gives the request up. */
  vmFetch(
    port: number,
    path: string,
    options?: VmFetchOptions,
    signal?: AbortSignal,
  ): Promise<VmFetchResponse> {
    return this.#network.vmFetch(port, path, options, signal);
  }

  listPorts(): Promise<VmPort[]> {
    return this.#network.listPorts();
  }

  /** @param signal ends the wait. */
  waitForPort(port: number, options?: WaitForPortOptions, signal?: AbortSignal): Promise<void> {
    return this.#network.waitForPort(port, options, signal);
  }

  /** createSignedPreviewUrl without its `url`, which only a server knows. */
  createPreview(port: number, expiresInSeconds?: number): Promise<Omit<PreviewUrl, "url">> {
    return this.#network.previews.create(port, expiresInSeconds);
  }

  expireSignedPreviewUrl(tokenOrId: string): Promise<void> {
    return this.#network.previews.expire(tokenOrId);
  }

  async setNetworkPolicy({ outbound }: NetworkPolicy): Promise<void> {
    await this.#network.outbound.change(outbound);
    const booted = await this.#boot?.catch(() => undefined);
    if (booted !== undefined) await this.#network.outbound.booted(booted.sandbox);
  }

  getNetworkPolicy(): Promise<NetworkPolicyInfo> {
    return this.#network.outbound.info();
  }

  async getNetworkLog(): Promise<NetworkLogEntry[]> {
    return this.#network.outbound.log.entries;
  }

  listPreviews(): Promise<PreviewInfo[]> {
    return this.#network.previews.list();
  }

  /** Answers a browser's request that came with a preview's token; never rejects. */
  servePreview(token: string, visit: PreviewRequest | PreviewUpgrade): Promise<void> {
    return this.#network.servePreview(token, visit);
  }

  /** The same where a request comes as an object, as through a Rivet Engine. */
  fetchPreview(token: string, visit: PreviewFetch): Promise<Response> {
    return this.#network.fetchPreview(token, visit);
  }
}

/** Rejects when the signal is aborted, with its reason. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
