import type { VmEventName, VmEvents } from "../api/events.ts";
import type { NetworkAnswer, NetworkQuestion } from "../api/methods/network-requests.ts";
import type { PermissionRequest } from "../api/methods/session-types.ts";
import type { HostVm } from "./host-functions/types.ts";
import type { Offers } from "./network/outbound/offers.ts";
import type { OwnOptions } from "./own-options.ts";
import type { Report } from "./reports.ts";
import type { EndReason } from "./room.ts";
import type { Store } from "./store/store.ts";

/** Options that are functions. */
export interface VmHandlers {
  /**
   * Prepares a VM after each boot, before any call uses it. The boot waits for it. An error or the timeout fails the boot.
   *
   * @param vm the VM
   */
  onVmStart?(vm: HostVm): Promise<void> | void;
  /**
   * Runs before a VM that has started goes down, and after a sandbox has failed (`error`). An error is only logged.
   *
   * @param vm the VM. With the reason `error` its methods reject with `vm_stopped`
   */
  onVmStop?(vm: HostVm, reason: EndReason): Promise<void> | void;
  /**
   * Answers an agent that asks for permission.
   *
   * @param identity identity of the client whose prompt runs
   * @returns `once`, `always`, `reject` or an optionId that the agent offers; `undefined` asks the clients that listen
   * to permissionRequest. An error rejects the request.
   */
  onPermissionRequest?(
    sessionId: string,
    request: PermissionRequest,
    identity?: unknown,
  ): Promise<string | undefined> | string | undefined;
  /**
   * Answers a program that wants to reach a destination of a rule of `ask`.
   *
   * @returns `allow`, `once` or `deny`; `undefined` asks the clients that listen to networkRequest. An error denies
   */
  onNetworkRequest?(
    question: NetworkQuestion,
  ): Promise<NetworkAnswer | undefined> | NetworkAnswer | undefined;
}

/** Identity of a VM on its server. */
export interface VmIdentity {
  /** Id of the VM's actor. */
  readonly actorId: string;
  /** Key of the VM. */
  readonly key: readonly string[];
}

/** Calls from a VM to its server. */
export interface VmHooks extends VmHandlers {
  /** Identity of the VM for its host functions. @default no actor */
  readonly identity?: VmIdentity;
  /** Services that clients offer inside the VM. @default none */
  readonly offers?: Offers;
  /** Sends an event to everybody who listens. Must not throw. */
  emit<Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void;
  /** Reports work. The VM must not be put to sleep while the promise is pending. */
  keepAwake(work: Promise<unknown>): void;
  /** Whether anybody listens to an event. @default always */
  hasListeners?(name: VmEventName): boolean;
  /** Runs before each boot, which waits for it; for example until a fork's files have arrived. @default nothing */
  beforeBoot?(): Promise<void>;
  /**
   * Asks for a call of `ringCron` at a time, or cancels it with `null`. Only the last time counts; calls at other times
   * do no harm.
   *
   * @param timestampMs Unix milliseconds
   * @default a timer of this process
   */
  wakeAt?(timestampMs: number | null): Promise<void> | void;
}

/** Options of one VM, besides those of its definition. */
export interface VmRunOptions {
  /** Keeps the VM's files. @default none: the files end with the VM */
  store?: Store | undefined;
  /** Key of 32 bytes for secrets that the store keeps encrypted, of this VM only. @default secrets are not stored */
  sealingKey?: Uint8Array | undefined;
  /** Folder of the server's data, which has the volumes. @default there are no volumes */
  dataFolder?: string | undefined;
  /** Options of this VM alone. @default the options of its definition */
  own?: OwnOptions;
  /** Whether other servers reach the store too. Each change then makes sure that the VM runs nowhere else. @default false */
  isStoreShared?: boolean;
  /** Larger results fail with `response_too_large`. @default Infinity */
  maxResultBytes?: number;
  /** Receives failures that no caller waits for, such as a background checkpoint's. @default nobody */
  onFailure?(error: unknown): void;
  /** Receives what happens in the VM, for a log and for metrics. Must not throw. @default nobody */
  report?: Report;
}
