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

export { createVm } from "./actors/bare.ts";
export { disposeAll, type LiveVm } from "./actors/instance.ts";
export { listen, type RunningServer } from "./actors/listen.ts";
export { createLogger, type Logger } from "./actors/logger.ts";
export { type ServerOptions, type SetupOptions, setup } from "./actors/setup.ts";
export { exitOnSignals } from "./actors/signals.ts";
export {
  type VmActor,
  type VmActorOptions,
  type VmHookContext,
  vmActor,
  vmActor as agentOS,
} from "./actors/vm.ts";
export type { VmActions, VmMethodName, VmMethods } from "./api/actions.ts";
export { AgentVmError, type ErrorCode, type ErrorMetadata } from "./api/errors.ts";
export type * from "./api/events.ts";
export type * from "./api/types.ts";
export type { VmLimits, VmOptions, VmOptionsInput } from "./runtime/options.ts";
export { MemoryStore, type Store, type StoreEntry } from "./runtime/store.ts";
export type { Vm, VmHooks } from "./runtime/vm.ts";
