import { checkOptions } from "./check-options.ts";
import type { VmHooks } from "./hooks.ts";
import type { VmOptionsInput } from "./options.ts";
import type { Store } from "./store/store.ts";
import type { LiveVm } from "./vm.ts";
import { VmDefinition } from "./vm-definition.ts";

/**
 * Makes a VM in this process, without a server. It has the methods of the API and boots with its first call.
 *
 * @param options the options of `vmActor`
 * @param hooks receive the VM's events, and the work during which it should not be disposed. @default none
 * @param store keeps the VM's files. @default none: the files end with the VM
 * @throws AgentVmError `invalid_argument` for an unknown or malformed option.
 * @example
 * ```ts
 * await using vm = await createVm({ env: { CI: "1" } });
 * const { stdout } = await vm.exec("uname -a");
 * ```
 */
export async function createVm(
  options: VmOptionsInput = {},
  hooks: Partial<VmHooks> = {},
  store?: Store,
): Promise<LiveVm> {
  const nothing = () => undefined;
  const { options: checked, handlers } = checkOptions(options);
  const definition = new VmDefinition(checked);
  const vm = await definition.create({ emit: nothing, keepAwake: nothing, ...handlers, ...hooks }, { store });
  const dispose: LiveVm["dispose"] = (reason) => vm.dispose(reason).finally(() => definition.close());
  return { ...vm, dispose, [Symbol.asyncDispose]: () => dispose("sleep") };
}
