import type { VmHooks } from "../src/runtime/hooks.ts";
import { vmOptionsSchema } from "../src/runtime/options.ts";
import type { Sandbox } from "../src/runtime/sandbox/sandbox.ts";
import { assembleVm, type Vm } from "../src/runtime/vm.ts";
import { openShared } from "../src/runtime/vm-shared.ts";

const options = vmOptionsSchema.parse({});
const shared = openShared(options);

/** A VM without an actor or a server. */
export function bareVm(emit: VmHooks["emit"] = () => undefined): Vm {
  return assembleVm(shared, { emit, keepAwake: () => undefined });
}

const BOOT_TIMEOUT_MS = 30_000;

/** The machine of a VM, without the VM's files. It takes commands. */
export function bareBoot(): Promise<Sandbox> {
  return shared.factory.boot(AbortSignal.timeout(BOOT_TIMEOUT_MS));
}
