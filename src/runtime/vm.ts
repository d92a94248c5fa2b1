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
import type { VmEventName, VmEvents } from "../api/events.ts";
import type { Env, PermissionRequest } from "../api/types.ts";
import { codedStore } from "./coded-store.ts";
import { Cron, type CronHooks } from "./cron/cron.ts";
import { FileWatches } from "./filesystem/watches.ts";
import { type EndReason, Machine } from "./machine.ts";
import { laterMethods, methodsOf } from "./methods.ts";
import { Network } from "./network/network.ts";
import type { OutboundSeams } from "./network/outbound/outbound.ts";
import type { VmOptions } from "./options.ts";
import { Commands } from "./processes/commands.ts";
import { ProcessHistory } from "./processes/history.ts";
import type { ProcessHooks } from "./processes/hooks.ts";
import { Processes } from "./processes/processes.ts";
import { Shells } from "./processes/shells.ts";
import {
  COMMAND_METHODS,
  CRON_METHODS,
  FILE_METHODS,
  FILE_TRANSFER_METHODS,
  NETWORK_METHODS,
  PROCESS_METHODS,
  SESSION_METHODS,
  SHELL_METHODS,
  TAR_TRANSFER_METHODS,
  TREE_METHODS,
  WATCH_METHODS,
} from "./room-methods.ts";
import type { Sandbox, SandboxFactory } from "./sandbox/sandbox.ts";
import { agentsOf } from "./sessions/agents/index.ts";
import { Sessions } from "./sessions/sessions.ts";
import { MemoryStore, type Store } from "./store.ts";
import { RootFilesystem } from "./tar/root-filesystem.ts";
import { Trees } from "./trees.ts";

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

/** What a VM does, argument for argument as in the API; the arguments are already checked. */
export type VmRuntime = FileMethods &
  ProcessMethods &
  ShellMethods &
  Omit<SnapshotMethods, "fork"> &
  WatchMethods &
  CronMethods &
  SessionMethods &
  Omit<NetworkMethods, "vmFetch" | "waitForPort" | "createSignedPreviewUrl"> &
  Omit<TransportMethods, "beginCall" | "abandonCall">;

/** One VM: what the API has of it, what its server does besides, and its end. */
export interface Vm
  extends VmRuntime,
    Pick<Network, "vmFetch" | "waitForPort" | "createPreview" | "servePreview" | "fetchPreview">,
    Pick<Trees, "withForkSource"> {
  /** Boots the sandbox if it is not up; every other method does so too, where it needs it. */
  boot(): Promise<void>;
  /** Fires cron jobs that are due. To be called when their alarm rings and when the VM wakes; harmless at other times. */
  ringCron(): Promise<void>;
  /** Ends everything inside and lets go of everything outside. Idempotent; calls in flight end with `vm_stopped`. */
  dispose(reason: EndReason): Promise<void>;
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

/**
 * Puts a VM together: its rooms over a sandbox that boots with the first call. Usable without RivetKit:
 *
 * @example
 * const vm = assembleVm(options, createSandboxFactory(options), hooks);
 * await vm.exec("true");
 * await vm.dispose("destroy");
 */
export function assembleVm(
  options: VmOptions,
  factory: SandboxFactory,
  hooks: VmHooks,
  settings: VmSettings = {},
): Vm {
  const store = settings.store && codedStore(settings.store);
  const anyStore = store ?? new MemoryStore();
  const { maxResultBytes = Number.POSITIVE_INFINITY, onCheckpointFailure = () => undefined } = settings;
  const hasProcesses = options.runtime === "kernel";
  const { shell } = factory;

  const emit = <Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void => {
    hooks.emit(name, payload);
    if (MAY_CHANGE_FILES.has(name)) touchFiles();
  };
  const touchFiles = () => machine.live?.persistence?.touch();
  const sandbox = async (): Promise<Sandbox> => (await machine.booted()).sandbox;
  const current = () => machine.live?.sandbox;

  const network: Network = new Network({
    sandbox,
    current,
    upcoming: async () => (await machine.upcoming())?.sandbox,
    emit,
    store: anyStore,
    options: options.network,
    seams: settings.outbound,
    maxResultBytes,
  });
  const watches = new FileWatches({
    sandbox,
    store: anyStore,
    emit: (event) => emit("fileChanged", event),
    onFailure: onCheckpointFailure,
  });
  const machine: Machine = new Machine(
    factory,
    {
      options,
      store,
      rootFilesystem: settings.rootFilesystem ?? rootFilesystemOf(options),
      maxResultBytes,
      allowMissing: false,
      keepAwake: (work) => hooks.keepAwake(work),
      onCheckpointFailure,
    },
    {
      ...(hooks.beforeBoot && { beforeBoot: hooks.beforeBoot }),
      prepare: (booting) => network.outbound.booted(booting),
      up(booted) {
        emit("vmBooted", {});
        void watches.booted(booted);
      },
      down() {
        sessions.suspend();
        watches.ended();
      },
      shutDown: (reason) => emit("vmShutdown", { reason }),
    },
  );

  const processHooks: ProcessHooks = {
    emit,
    keepAwake(work) {
      network.watch.during(work);
      hooks.keepAwake(work);
    },
    isStopping: () => machine.isEnding,
  };
  /** The way out, and over it what the actor's options say. */
  const env = (): Env => ({ ...network.outbound.env, ...options.env });
  const defaults = {
    get env() {
      return env();
    },
    cwd: options.defaultCwd,
    shell,
  };
  const history = store && new ProcessHistory(store, onCheckpointFailure);
  const processes = new Processes(sandbox, defaults, processHooks, history);
  const shells = new Shells(sandbox, defaults, processHooks);
  const commands = new Commands({
    sandbox,
    defaults,
    captureBytes: options.limits.captureBytes,
    hooks: processHooks,
    changesFiles() {
      machine.live?.persistence?.begin();
      return touchFiles;
    },
  });
  const sessions = new Sessions({
    sandbox,
    files: async () => (await machine.booted()).files,
    env,
    shell,
    agents: agentsOf(options),
    store: anyStore,
    permissionTimeoutMs: options.sessions.permissionTimeoutMs,
    hasProcesses,
    maxResultBytes,
    emit,
    keepAwake: processHooks.keepAwake,
    touchFiles,
    async keepFiles() {
      if (machine.isEnding) return;
      await machine.live?.persistence?.checkpoint().catch(onCheckpointFailure);
    },
    hasListeners: (name) => hooks.hasListeners?.(name) ?? true,
    ...(hooks.onPermissionRequest && { onPermissionRequest: hooks.onPermissionRequest }),
  });
  const cron = new Cron(
    {
      store: anyStore,
      timezone: options.cron.timezone,
      hasProcesses,
      run: (command, args, given, onOutput) => commands.run(command, args, given, onOutput),
      prompt: (action, timeoutMs) => sessions.promptOnce(action, timeoutMs),
    },
    hooks,
  );
  const trees = new Trees(machine, { maxResultBytes, exclude: options.persistence.exclude });

  const end = async (reason: EndReason): Promise<void> => {
    cron.stop();
    sessions.stop();
    const ended = machine.end(reason);
    network.dispose();
    try {
      await ended;
      if (reason === "destroy") history?.close();
      else await history?.flush();
    } finally {
      await Promise.all([cron.settled(), sessions.settled()]);
    }
  };
  let disposal: Promise<void> | undefined;

  return {
    async boot() {
      await machine.booted();
    },
    ringCron: () => cron.ring(),
    dispose(reason) {
      disposal ??= end(reason);
      return disposal;
    },
    ...laterMethods(async () => (await machine.booted()).files, FILE_METHODS),
    ...laterMethods(async () => (await machine.booted()).transfers, FILE_TRANSFER_METHODS),
    ...laterMethods(async () => (await machine.booted()).tars, TAR_TRANSFER_METHODS),
    ...methodsOf(trees, TREE_METHODS),
    ...methodsOf(watches, WATCH_METHODS),
    ...methodsOf(commands, COMMAND_METHODS),
    ...methodsOf(processes, PROCESS_METHODS),
    ...methodsOf(shells, SHELL_METHODS),
    ...methodsOf(network, NETWORK_METHODS),
    ...methodsOf(cron, CRON_METHODS),
    ...methodsOf(sessions, SESSION_METHODS),
  };
}

function rootFilesystemOf({ rootFilesystem }: VmOptions): RootFilesystem | undefined {
  return rootFilesystem === undefined ? undefined : new RootFilesystem(rootFilesystem);
}
