import type { FileMethods, ProcessMethods, ShellMethods, TransportMethods } from "../api/actions.ts";
import type { VmEventName, VmEvents } from "../api/events.ts";
import type { VmOptions } from "./options.ts";

/** What a VM tells its surroundings. */
export interface VmHooks {
  /** Sends an event to whoever listens. Must not throw. */
  emit<Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void;
  /** The VM must not be put to sleep while the promise is pending. */
  keepAwake(work: Promise<unknown>): void;
}

/** What a VM does, argument for argument as in the API; the arguments are already checked. */
export type VmRuntime = FileMethods & ProcessMethods & ShellMethods & Omit<TransportMethods, "beginCall">;

export type VmConstructor = new (
  options: VmOptions,
  hooks: VmHooks,
) => VmRuntime & {
  /** Boots the sandbox if it is not up; a hundred callers boot it once. Actions do this by themselves. */
  boot(): Promise<void>;
  dispose(reason: VmEvents["vmShutdown"]["reason"]): Promise<void>;
};
