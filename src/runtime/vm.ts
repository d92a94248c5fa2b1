import type { NamesIn, VmMethods } from "../api/methods/table.ts";
import { FairPool } from "../base/fair-pool.ts";
import { Sealer } from "../base/sealer.ts";
import { bootEvents } from "./boot-events.ts";
import { BootCycle } from "./boots.ts";
import { Cron } from "./cron/cron.ts";
import { dispatch } from "./dispatch.ts";
import type { VmHooks, VmRunOptions } from "./hooks.ts";
import { hostInstructions } from "./host-functions/help.ts";
import { HostFunctionRoom } from "./host-functions/host-functions.ts";
import { hostVm } from "./host-vm.ts";
import { Machine } from "./machine/machine.ts";
import { UsageRecord } from "./machine/usage-record.ts";
import { Mounts } from "./mounts/mounts.ts";
import { Network } from "./network/network.ts";
import { type OwnOptions, withOwn } from "./own-options.ts";
import { SnapshotActions } from "./persistence/snapshot-actions.ts";
import { Commands } from "./processes/commands.ts";
import { InputWatch } from "./processes/input-watch.ts";
import { MAX_KEPT_OUTPUT_BYTES, MAX_SERVER_KEPT_OUTPUT_BYTES } from "./processes/limits.ts";
import { Processes } from "./processes/processes.ts";
import { ReplayBudget } from "./processes/replay-buffer.ts";
import { Recordings } from "./recordings/recordings.ts";
import { type EndReason, RoomList } from "./room.ts";
import { Services } from "./services/services.ts";
import { MAX_SESSIONS } from "./sessions/limits.ts";
import { Sessions } from "./sessions/sessions.ts";
import { MAX_OPEN_SHELLS } from "./shells/limits.ts";
import { Shells } from "./shells/shells.ts";
import { codedStore } from "./store/coded-store.ts";
import { START_KEYS } from "./store/keys.ts";
import { ownedStore } from "./store/owned-store.ts";
import { readTogether } from "./store/read-together.ts";
import { MemoryStore } from "./store/store.ts";
import { noBodies, type TransferBodies } from "./transfers/bodies.ts";
import { vmServices } from "./vm-services.ts";
import type { VmShared } from "./vm-shared.ts";
import { FileWatches } from "./watches/file-watches.ts";

/** Members of rooms that the server uses beside the methods of the API. */
const FROM_NETWORK = [
  "createPreview",
  "servePreview",
  "fetchPreview",
  "servePort",
  "openTunnel",
  "mayOffer",
  "ownSecrets",
  "takeSecrets",
  "fetchStream",
] as const;
const FROM_MACHINE = [
  "labels",
  "setLabels",
  "state",
  "processCount",
  "sessionCount",
  "listUse",
  "fileBytes",
] as const;
const FROM_SNAPSHOTS = ["withForkSource"] as const;

/** Output that the programs of all VMs keep. */
const keptOutput = new FairPool(MAX_SERVER_KEPT_OUTPUT_BYTES);

/** The methods of the API, for arguments that are already checked. */
type VmRuntime = Omit<VmMethods, NamesIn<"actor"> | "vmFetch" | "waitForPort">;

/** One VM: the methods of the API, the methods of its server, and its end. */
export interface Vm
  extends VmRuntime,
    Pick<Network, "vmFetch" | "waitForPort" | (typeof FROM_NETWORK)[number]>,
    Pick<Machine, (typeof FROM_MACHINE)[number]>,
    Pick<SnapshotActions, (typeof FROM_SNAPSHOTS)[number]> {
  /** Boots the sandbox if it is down. Every method that needs the sandbox does so too. */
  boot(): Promise<void>;
  /** Changes the options of this VM alone. Memory and CPUs follow at once, the other limits with the next boot. */
  setOwn(own: OwnOptions): void;
  /** Fires cron jobs that are due. Call it when their alarm rings and when the VM wakes; other calls do no harm. */
  ringCron(): Promise<void>;
  /** The bytes of the open transfers, as HTTP bodies. Boots nothing: a VM that is down has no transfer. */
  readonly bodies: Pick<TransferBodies, "send" | "receive">;
  /** Ends every process inside and releases everything outside. Idempotent; calls in flight end with `vm_stopped`. */
  dispose(reason: EndReason): Promise<void>;
  /** Ends the VM; its store keeps the files. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A VM that boots with its first call. */
export type LiveVm = Omit<Vm, "boot">;

/**
 * Puts a VM together: its rooms over a sandbox that boots with the first call. It needs no RivetKit.
 *
 * @example
 * const vm = assembleVm(openShared(options), hooks);
 * await vm.exec("true");
 * await vm.dispose("destroy");
 */
export function assembleVm(shared: VmShared, hooks: VmHooks, run: VmRunOptions = {}): Vm {
  const { agents, hostFunctions, seams } = shared;
  const factory = shared.pool ?? shared.factory;
  const { own = {} } = run;
  const options = withOwn(shared.options, own);
  const {
    maxResultBytes = Number.POSITIVE_INFINITY,
    onFailure = () => undefined,
    report = () => undefined,
  } = run;
  const onReplaced = () => void dispose("error").catch(onFailure);
  const durable =
    run.store &&
    ownedStore(readTogether(codedStore(run.store, report), START_KEYS), {
      isShared: run.isStoreShared,
      onReplaced,
    });
  const store = durable ?? new MemoryStore();

  const host = hostVm(() => methods, hooks.identity);
  const rooms = new RoomList(onFailure);
  const boots = new BootCycle(
    factory,
    {
      options,
      store: durable,
      rootFilesystem: shared.rootFilesystem(own.rootFilesystem),
      maxResultBytes,
      keepAwake: (work) => hooks.keepAwake(work),
      onFailure,
      report,
    },
    rooms,
    bootEvents({ hooks, host, hookTimeoutMs: options.hookTimeoutMs, onFailure }),
  );
  const vm = vmServices({ options, factory, hooks, boots, rooms, store, maxResultBytes, onFailure, report });

  const mounts = rooms.add(
    new Mounts({ ...vm, options, dataFolder: run.dataFolder, limits: () => boots.limits }),
  );
  const sealer = run.sealingKey && new Sealer(run.sealingKey);
  const used = new UsageRecord(store);
  const asked = {
    onNetworkRequest: hooks.onNetworkRequest?.bind(hooks),
    bytesBefore: () => used.bytesOutside(),
  };
  const network = rooms.add(
    new Network({ ...vm, sealer, offers: hooks.offers, ...asked }, options.network, seams.outbound),
  );
  const watches = rooms.add(new FileWatches(vm));
  const notices = { denialsSince: network.denialsSince.bind(network) };
  const recordings = rooms.add(new Recordings(vm));
  const inputs = rooms.add(new InputWatch(vm));
  const kept = rooms.add(new ReplayBudget(MAX_KEPT_OUTPUT_BYTES, keptOutput));
  const processes = rooms.add(new Processes({ ...vm, ...notices, recordings, inputs, kept }));
  const shells = rooms.add(new Shells({ ...vm, recordings, inputs, kept }));
  const commands = rooms.add(new Commands({ ...vm, ...notices }));
  const onPermissionRequest = hooks.onPermissionRequest?.bind(hooks);
  const wakeAt = hooks.wakeAt?.bind(hooks);
  const sessions = rooms.add(
    new Sessions({
      ...vm,
      ...options.sessions,
      agents,
      hostInstructions: hostInstructions(hostFunctions),
      onPermissionRequest,
      kept,
    }),
  );
  if (!hostFunctions.isEmpty) {
    const room = new HostFunctionRoom({
      ...vm,
      catalog: hostFunctions,
      vm: host,
      hasSession: (sessionId) => sessions.has(sessionId),
    });
    rooms.add(room);
  }
  const jobs = {
    run: commands.run.bind(commands),
    prompt: sessions.promptOnce.bind(sessions),
    checkAgent: agents.find.bind(agents),
  };
  const cron = rooms.add(new Cron({ ...vm, ...jobs, wakeAt }, options.cron));
  const services = rooms.add(
    new Services({
      ...vm,
      services: options.services,
      kept,
      listens: (port, timeoutMs, signal) => network.listens(port, { timeoutMs }, signal),
    }),
  );
  // Each needs the other: a connection waits for the service of its port, and a service is up when its port accepts one.
  network.onRefused = (port, signal) => services.comes(port, signal);
  network.serviceNote = (port) => services.noteOf(port);
  const machine = rooms.add(
    new Machine({
      ...vm,
      own,
      used,
      boots,
      traffic: () => network.traffic,
      sessions: () => sessions.count(),
      promptsRunning: () => sessions.promptsRunning,
      shells: () => shells.runningCount,
      maxima: { MAX_SESSIONS, MAX_OPEN_SHELLS },
    }),
  );
  const snapshots = rooms.add(
    new SnapshotActions(boots, {
      ...{ maxResultBytes, store: durable, mounts },
      exclude: options.persistence.exclude,
    }),
  );

  const end = async (reason: EndReason): Promise<void> => {
    // Calls go on meanwhile, so that the hook finds the VM as it was.
    if (hooks.onVmStop !== undefined) await boots.tellStop(reason);
    const ended = boots.end(reason);
    rooms.stop();
    try {
      await ended;
    } finally {
      const settled = rooms.settled(reason);
      // The rooms of a VM that another instance has replaced cannot store anything.
      await (reason === "error" ? settled.catch(onFailure) : settled);
    }
    if (reason === "sleep") await durable?.release().catch(onFailure);
  };
  let disposal: Promise<void> | undefined;
  const dispose = (reason: EndReason): Promise<void> => {
    disposal ??= end(reason);
    return disposal;
  };

  const methods = dispatch({
    files: async () => (await boots.booted()).files,
    transfers: async () => (await boots.booted()).transfers,
    tars: async () => (await boots.booted()).tars,
    snapshots,
    watches,
    commands,
    processes,
    shells,
    network,
    cron,
    sessions,
    machine,
    services,
    mounts,
    recordings,
  });

  return {
    async boot() {
      await boots.booted();
    },
    get bodies() {
      return boots.live?.transfers.bodies ?? noBodies;
    },
    ringCron: () => cron.ring(),
    dispose,
    [Symbol.asyncDispose]: () => dispose("sleep"),
    setOwn: (changed) => machine.setOwn(changed, withOwn(shared.options, changed).limits),
    ...membersOf(network, FROM_NETWORK),
    ...membersOf(machine, FROM_MACHINE),
    ...membersOf(snapshots, FROM_SNAPSHOTS),
    ...methods,
  };
}

/** Takes methods of a room, which need no room to be called. */
function membersOf<Room extends object, Name extends keyof Room>(
  room: Room,
  names: readonly Name[],
): Pick<Room, Name> {
  const members = names.map((name) => [name, (room[name] as () => unknown).bind(room)]);
  return Object.fromEntries(members) as Pick<Room, Name>;
}
