import type { BootEvents } from "./boot-hooks.ts";
import { MAX_STOP_HOOK_MS, runHook } from "./hook-calls.ts";
import type { VmHooks } from "./hooks.ts";
import type { HostVm } from "./host-functions/types.ts";

/** Paths that the event `vmBooted` lists. */
const MAX_PUT_BACK = 100;

interface BootEventsDeps {
  hooks: VmHooks;
  /** The VM for the server's code. */
  host: HostVm;
  hookTimeoutMs: number;
  onFailure(error: unknown): void;
}

/** Returns what the boots of a VM tell the server and its clients. */
export function bootEvents({ hooks, host, hookTimeoutMs, onFailure }: BootEventsDeps): BootEvents {
  const stopMs = Math.min(hookTimeoutMs, MAX_STOP_HOOK_MS);
  return {
    beforeBoot: () => hooks.beforeBoot?.(),
    starting: () => hooks.onVmStart && runHook("onVmStart", hookTimeoutMs, () => hooks.onVmStart?.(host)),
    stopping: (reason) =>
      hooks.onVmStop && runHook("onVmStop", stopMs, () => hooks.onVmStop?.(host, reason)).catch(onFailure),
    booted: (putBack) =>
      hooks.emit("vmBooted", putBack.length === 0 ? {} : { putBack: putBack.slice(0, MAX_PUT_BACK) }),
    readOnly(damage) {
      onFailure(damage);
      const files = (damage.metadata?.files ?? []) as string[];
      hooks.emit("filesReadOnly", { error: damage.message, files });
    },
    shutDown: (reason) => hooks.emit("vmShutdown", { reason }),
  };
}
