import type { VmState } from "../api/methods/machine.ts";
import type { VmListUse } from "../api/vm-list.ts";

/** An awake actor, as the directory asks it. */
export interface LiveEntry {
  state(): VmState;
  /** Number of processes in the VM. */
  processes(): number;
  /** Number of open sessions. */
  sessions(): Promise<number>;
  /** Resources that the VM uses; `undefined` while it does not run. */
  use(): Promise<VmListUse | undefined>;
  /** Time of the last call, in Unix milliseconds. */
  lastUsedAt(): number;
}
