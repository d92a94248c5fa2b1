import type { VmHooks, VmRunOptions } from "./hooks.ts";
import type { OutboundSeams } from "./network/outbound/outbound.ts";
import type { VmOptions } from "./options.ts";
import type { SandboxFactory } from "./sandbox/sandbox.ts";
import type { LiveVm } from "./vm.ts";

/** Makes a VM that boots with its first call. */
type CreateVm = (options: VmOptions, hooks: VmHooks, run: VmRunOptions) => Promise<LiveVm>;

/** Parts that only tests replace. */
export interface TestSeams {
  /** Boots the sandboxes. @default the factory that the options ask for */
  sandboxFactory?: SandboxFactory;
  /** Resolver and certificate authority of the outbound proxy. @default the system's */
  outbound?: OutboundSeams;
  /** Makes the VMs. @default VMs of the runtime */
  createVm?: CreateVm;
}
