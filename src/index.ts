/**
 * agent-vm: a real Linux machine for every AI agent, as a RivetKit actor.
 *
 * @example
 * ```ts
 * import { setup, vmActor } from "agent-vm";
 *
 * export const registry = setup({ use: { vm: vmActor() } });
 * registry.start();
 * ```
 * @module
 */

import "./base/check-supported.ts";

export type { VmActorOptions } from "./actors/actor-options.ts";
export { disposeAll } from "./actors/awake-vms.ts";
export type { VmActions } from "./actors/context.ts";
export type {
  OwnActions,
  OwnEvents,
  OwnParts,
  OwnQueues,
  ResolvedOptions,
  VmCreateContext,
  VmHookContext,
  VmOwnConnection,
  VmOwnContext,
  VmRivetOptions,
} from "./actors/own-types.ts";
export { vmActor, vmActor as agentOS } from "./actors/vm.ts";
export type { VmActor } from "./actors/vm-actor.ts";
export { AgentVmError, type ErrorCode, type ErrorMetadata, type PosixCode } from "./api/errors.ts";
export type * from "./api/events.ts";
export type * from "./api/methods/index.ts";
export type { Right } from "./api/rights.ts";
export type { VmPrefix } from "./api/tokens.ts";
export type { OwnLimits, VmChoices, VmInput } from "./api/vm-input.ts";
export type { VmListEntry, VmListOptions, VmListUse, VmPage } from "./api/vm-list.ts";
export { exitOnSignals } from "./cli/exit-signals.ts";
export type { Authorization, Authorize, AuthorizeRequest } from "./http/authorize.ts";
export { listen, type RunningServer } from "./http/listen.ts";
export { createLogger, type Logger } from "./http/logger.ts";
export type { ServerOptions } from "./http/server-options.ts";
export { type SetupOptions, setup } from "./http/setup.ts";
export type { AuditActor, AuditEvent, AuditOption } from "./monitoring/audit.ts";
export { createVm } from "./runtime/create-vm.ts";
export type { VmHooks, VmIdentity } from "./runtime/hooks.ts";
export {
  type HostBinding,
  type HostFunction,
  type HostFunctionContext,
  type HostFunctionExample,
  type HostFunctions,
  type HostVm,
  hostFunction,
} from "./runtime/host-functions/types.ts";
export { nodeModulesMount } from "./runtime/mounts/options.ts";
export type { VmLimits, VmOptions, VmOptionsInput } from "./runtime/options.ts";
export { MemoryStore, type Store, type StoreEntry } from "./runtime/store/store.ts";
export type { LiveVm, Vm } from "./runtime/vm.ts";
