import { vmOptionsSchema } from "../src/runtime/options.ts";
import { createSandboxFactory } from "../src/runtime/sandbox/factory.ts";
import { assembleVm, type Vm, type VmHooks } from "../src/runtime/vm.ts";

const options = vmOptionsSchema.parse({});
const factory = createSandboxFactory(options);

/** A VM on the bare runtime. */
export function bareVm(emit: VmHooks["emit"] = () => undefined): Vm {
  return assembleVm(options, factory, { emit, keepAwake: () => undefined });
}
