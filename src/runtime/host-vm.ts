import { parseArgs } from "../api/methods/parse.ts";
import { METHODS, type NamesIn, VM_METHOD_NAMES, type VmMethods } from "../api/methods/table.ts";
import type { VmIdentity } from "./hooks.ts";
import type { HostVm } from "./host-functions/types.ts";

type Methods = Omit<VmMethods, NamesIn<"actor">>;
type AnyMethods = Record<string, (...args: readonly unknown[]) => Promise<unknown>>;

/** A VM for functions and hooks of its server: its methods, which check their arguments, and its identity. */
export function hostVm(methods: () => Methods, { actorId, key }: VmIdentity = NOBODY): HostVm {
  const checked: AnyMethods = {};
  for (const name of VM_METHOD_NAMES) {
    if (METHODS[name].room === "actor") continue;
    checked[name] = async (...args) =>
      await (methods() as unknown as AnyMethods)[name]!(...parseArgs(name, args));
  }
  return { ...(checked as unknown as Methods), actorId, key: [...key] };
}

const NOBODY = { actorId: "", key: [] };
