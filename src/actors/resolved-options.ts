import { AgentVmError, unknownOption } from "../api/errors.ts";
import { asCaller } from "../base/caller.ts";
import { runHook } from "../runtime/hook-calls.ts";
import type { VmOptions, VmOptionsInput } from "../runtime/options.ts";
import type { VmDefinition } from "../runtime/vm-definition.ts";
import type { VmVars } from "./context.ts";
import { MAX_RESOLVE_MS } from "./limits.ts";
import { ownContext } from "./own-context.ts";
import { RESOLVABLE, type ResolvedOptions } from "./own-types.ts";

/** How one VM is made. */
interface Resolved {
  definition: VmDefinition;
  /** Why the VM must not boot. */
  refusal?: AgentVmError;
  /** Releases the definition, if it is this VM's alone. */
  close?(): Promise<void>;
}

/**
 * Asks the server for the options of one VM. If it fails, the VM has the options of all, and must not boot with them.
 *
 * @param given options of `vmActor()`
 * @param check completes options
 */
export async function resolveDefinition(
  c: object,
  vars: VmVars,
  definition: VmDefinition,
  given: VmOptionsInput,
  check: (input: VmOptionsInput) => VmOptions,
): Promise<Resolved> {
  const { resolveOptions } = vars.own.parts;
  if (resolveOptions === undefined) return { definition };
  const timeoutMs = Math.min(definition.options.hookTimeoutMs, MAX_RESOLVE_MS);
  try {
    const ask = () => resolveOptions(ownContext(c, vars) as never);
    const changes: ResolvedOptions =
      (await asCaller({}, () => runHook("resolveOptions", timeoutMs, ask))) ?? {};
    const unknown = Object.keys(changes).find((name) => !RESOLVABLE.some((known) => known === name));
    if (unknown !== undefined) throw unknownOption("resolveOptions", unknown, RESOLVABLE);
    if (Object.keys(changes).length === 0) return { definition };
    const merged = {
      ...changes,
      ...(changes.env && { env: { ...given.env, ...changes.env } }),
      ...(changes.limits && { limits: { ...given.limits, ...changes.limits } }),
    };
    const own = definition.withOptions(check({ ...given, ...merged }), Object.keys(changes));
    return { definition: own, close: () => own.close() };
  } catch (error) {
    vars.own.log.error({ msg: "a hook has failed", hook: "resolveOptions", err: error });
    // The options may hold secrets of the server, so a client learns only that they are wrong.
    const isOurs = error instanceof AgentVmError && error.code === "hook_failed";
    const refusal = isOurs
      ? error
      : new AgentVmError("hook_failed", "The hook resolveOptions has failed", { hook: "resolveOptions" });
    return { definition, refusal };
  }
}
