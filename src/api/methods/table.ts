import { CRON_METHODS } from "./cron.ts";
import { FILE_METHODS } from "./files.ts";
import { MACHINE_METHODS } from "./machine.ts";
import type { AnyMethod, CallsOf, RoomName } from "./method.ts";
import { MOUNT_METHODS } from "./mounts.ts";
import { NETWORK_METHODS } from "./network.ts";
import { NETWORK_REQUEST_METHODS } from "./network-requests.ts";
import { PREVIEW_METHODS } from "./previews.ts";
import { PROCESS_METHODS } from "./processes.ts";
import { RECORDING_METHODS } from "./recordings.ts";
import { SECRET_METHODS } from "./secrets.ts";
import { SERVICE_METHODS } from "./services.ts";
import { SESSION_METHODS } from "./sessions.ts";
import { SHELL_METHODS } from "./shells.ts";
import { SNAPSHOT_METHODS } from "./snapshots.ts";
import { TRANSPORT_METHODS } from "./transport.ts";
import { WATCH_METHODS } from "./watches.ts";

/** The rows of the methods that this package's client offers. */
export type ClientTable = typeof FILE_METHODS &
  typeof PROCESS_METHODS &
  typeof SHELL_METHODS &
  typeof SNAPSHOT_METHODS &
  typeof WATCH_METHODS &
  typeof NETWORK_METHODS &
  typeof NETWORK_REQUEST_METHODS &
  typeof PREVIEW_METHODS &
  typeof SECRET_METHODS &
  typeof CRON_METHODS &
  typeof SESSION_METHODS &
  typeof MACHINE_METHODS &
  typeof SERVICE_METHODS &
  typeof MOUNT_METHODS &
  typeof RECORDING_METHODS;

/** The rows of all methods. */
export type MethodTable = ClientTable & typeof TRANSPORT_METHODS;

/** Every method of a `vm` actor. The actor, the VM's dispatch, the client and docs/methods.md read it. */
export const METHODS: MethodTable = {
  ...FILE_METHODS,
  ...PROCESS_METHODS,
  ...SHELL_METHODS,
  ...SNAPSHOT_METHODS,
  ...WATCH_METHODS,
  ...NETWORK_METHODS,
  ...NETWORK_REQUEST_METHODS,
  ...PREVIEW_METHODS,
  ...SECRET_METHODS,
  ...CRON_METHODS,
  ...SESSION_METHODS,
  ...MACHINE_METHODS,
  ...SERVICE_METHODS,
  ...MOUNT_METHODS,
  ...RECORDING_METHODS,
  ...TRANSPORT_METHODS,
};

/** Every method of a `vm` actor as a function, without the actor's context. */
export type VmMethods = CallsOf<MethodTable>;

/** Name of a method of a `vm` actor. */
export type VmMethodName = keyof MethodTable;

/** The names of the methods that a room answers. */
export type NamesIn<Room extends RoomName> = {
  [Name in VmMethodName]: MethodTable[Name] extends { readonly room: Room } ? Name : never;
}[VmMethodName];

/** The methods that a room answers. */
export type RoomMethods<Room extends RoomName> = Pick<VmMethods, NamesIn<Room>>;

/** The name of every method. */
export const VM_METHOD_NAMES = Object.keys(METHODS) as VmMethodName[];

export function isVmMethodName(name: string): name is VmMethodName {
  return Object.hasOwn(METHODS, name);
}

/** The row of a method; `undefined` for an unknown name. */
export function rowOf(name: VmMethodName): AnyMethod;
export function rowOf(name: string): AnyMethod | undefined;
export function rowOf(name: string): AnyMethod | undefined {
  return isVmMethodName(name) ? METHODS[name] : undefined;
}
