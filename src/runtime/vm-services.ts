import type { VmEventName, VmEvents } from "../api/events.ts";
import type { Env } from "../api/values.ts";
import type { BootCycle } from "./boots.ts";
import type { Files } from "./filesystem/files.ts";
import type { VmHooks } from "./hooks.ts";
import type { VmLimits, VmOptions } from "./options.ts";
import type { Report } from "./reports.ts";
import type { RoomList } from "./room.ts";
import type { Runtime, Sandbox } from "./sandbox/sandbox.ts";
import type { Store } from "./store/store.ts";

/** Services of a VM for its rooms. Each room takes a `Pick` of them. */
export interface VmServices {
  /** The sandbox. Boots it if it is down. @throws AgentVmError `vm_stopped`, `boot_failed` */
  sandbox(): Promise<Sandbox>;
  /** The sandbox if it is up. */
  liveSandbox(): Sandbox | undefined;
  /** The sandbox if it is up or on its way up. */
  upcomingSandbox(): Promise<Sandbox | undefined>;
  /** The file methods of the sandbox. Boots it if it is down. */
  files(): Promise<Files>;
  /** Keeps records beyond a boot. Without a store of the VM it is memory, and ends with the VM. */
  readonly store: Store;
  readonly limits: VmLimits;
  /** Larger results fail with `response_too_large`. Infinity without a limit. */
  readonly maxResultBytes: number;
  /** The runtime and its capabilities, known without a boot. */
  readonly runtime: Runtime;
  /** Working directory of commands that name none. */
  readonly cwd: string;
  /** Tells the rooms that a program is about to start. @returns its variables: options override the variables of rooms */
  env(): Promise<Env>;
  /** Sends an event to everybody who listens. Never throws. */
  emit<Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void;
  /** Whether anybody listens to an event. */
  hasListeners(name: VmEventName): boolean;
  /** Reports work. The VM must not be put to sleep while the promise is pending. */
  keepAwake(work: Promise<unknown>): void;
  /** Reports a program that runs in the VM: keeps the VM awake, and tells the rooms. */
  whileRunning(work: Promise<unknown>): void;
  /** Reports a program that runs in the VM and may end with a sleep: tells the rooms. */
  trackRunning(work: Promise<unknown>): void;
  /** `true` while the VM's processes are being ended: it falls asleep, restarts or ends. */
  isStopping(): boolean;
  /** Reports that something has begun that may change files. */
  filesMayChange(): void;
  /** Reports that files may have changed: a checkpoint follows within a second or two. */
  filesMayHaveChanged(): void;
  /** Resolves when every change until now is durable, or the attempt has failed. Never rejects. */
  keepFiles(): Promise<void>;
  /** Receives a failure that no caller waits for. */
  onFailure(error: unknown): void;
  /** Tells the server what happens in the VM. Never throws. */
  readonly report: Report;
}

/** The parts of a VM that its services are made of. */
interface ServicesDeps extends Pick<VmServices, "store" | "maxResultBytes" | "onFailure" | "report"> {
  options: VmOptions;
  factory: Runtime;
  hooks: VmHooks;
  boots: BootCycle;
  rooms: RoomList;
}

export function vmServices({ options, factory, hooks, boots, rooms, ...rest }: ServicesDeps): VmServices {
  const { store, maxResultBytes, onFailure, report } = rest;
  return {
    sandbox: async () => (await boots.booted()).sandbox,
    liveSandbox: () => boots.live?.sandbox,
    upcomingSandbox: async () => (await boots.upcoming())?.sandbox,
    files: async () => (await boots.booted()).files,
    store,
    get limits() {
      return boots.limits;
    },
    maxResultBytes,
    runtime: factory,
    cwd: options.defaultCwd,
    env: async () => ({ ...(await rooms.programStarts()), ...options.env }),
    emit: (name, payload) => hooks.emit(name, payload),
    hasListeners: (name) => hooks.hasListeners?.(name) ?? true,
    keepAwake: (work) => hooks.keepAwake(work),
    whileRunning(work) {
      rooms.running(work);
      hooks.keepAwake(work);
    },
    trackRunning: (work) => rooms.running(work),
    isStopping: () => boots.isGoingDown,
    filesMayChange: () => boots.live?.persistence?.begin(),
    filesMayHaveChanged: () => boots.live?.persistence?.touch(),
    async keepFiles() {
      if (boots.isEnding || boots.live?.persistence?.damage !== undefined) return;
      await boots.live?.persistence?.checkpoint().catch(onFailure);
    },
    onFailure,
    report,
  };
}
