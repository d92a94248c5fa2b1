import type { VmOptionsInput } from "../runtime/options.ts";
import type { Store } from "../runtime/store.ts";
import type { VmHooks } from "../runtime/vm.ts";
import { type LiveVm, runtimeVms } from "./instance.ts";
import { checkOptions } from "./options.ts";

/**
 * A VM without a server: the same methods, in this process.
 *
 * @param store keeps its files. @default none: they end with the VM
 * @param hooks hear the VM's events, and of work during which it should not be disposed. @default none
 * @example
 * ```ts
 * const vm = await createVm({ env: { CI: "1" } });
 * const { stdout } = await vm.exec("uname -a");
 * await vm.dispose("destroy");
 * ```
 */
export async function createVm(
  options: VmOptionsInput = {},
  hooks: Partial<VmHooks> = {},
  store?: Store,
): Promise<LiveVm> {
  const nothing = () => undefined;
  return await runtimeVms({})(checkOptions(options), { emit: nothing, keepAwake: nothing, ...hooks }, store);
}
