import type { VmEventName, VmEvents } from "../../api/events.ts";

/** What a VM tells its surroundings. */
export interface ProcessHooks {
  /** Sends an event to whoever listens. Never throws. */
  emit<Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void;
  /** The VM must not be put to sleep while the promise is pending. */
  keepAwake(work: Promise<unknown>): void;
  /** `true` once the VM is being stopped: what ends now ends with it. */
  isStopping(): boolean;
}
