import type { VmHooks } from "../src/runtime/hooks.ts";
import { vmOptionsSchema } from "../src/runtime/options.ts";
import { assembleVm, type Vm } from "../src/runtime/vm.ts";
import { openShared } from "../src/runtime/vm-shared.ts";

const options = vmOptionsSchema.parse({});
const shared = openShared(options);

/** A VM without an actor or a server. */
export function bareVm(emit: VmHooks["emit"] = () => undefined): Vm {
  return assembleVm(shared, { emit, keepAwake: () => undefined });
}
