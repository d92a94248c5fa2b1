import type { Capability } from "../../api/errors.ts";
import { loadOnce } from "../../base/load-once.ts";
import type { VmOptions } from "../options.ts";
import type { Provision } from "./provision.ts";
import type { SandboxFactory } from "./sandbox.ts";

interface RuntimeModule {
  capabilities: readonly Capability[];
  /** Loads the runtime's modules. A VM loads no module of another runtime. */
  load(options: VmOptions, provisions: () => readonly Provision[]): Promise<LoadedRuntime>;
}

type LoadedRuntime = Pick<SandboxFactory, "describe" | "boot" | "enforced" | "isShort" | "close">;

const RUNTIMES: Record<VmOptions["runtime"], RuntimeModule> = {
  kernel: {
    capabilities: ["processes", "terminals", "network", "watches", "mounts"],
    async load(options, provisions) {
      const { KernelSandboxFactory } = await import("./kernel/factory.ts");
      return new KernelSandboxFactory(options, { provisions });
    },
  },
  memory: {
    capabilities: [],
    async load(options) {
      const { MemorySandboxFactory } = await import("./memory/memory-sandbox.ts");
      return new MemorySandboxFactory(options);
    },
  },
};

/**
 * Creates the factory of the runtime that the options name. The first boot loads the runtime's modules.
 *
 * @param provisions additions to its VMs besides the option `software`, read at the first boot. @default nothing
 */
export function createSandboxFactory(
  options: VmOptions,
  provisions: () => readonly Provision[] = () => [],
): SandboxFactory {
  const { capabilities, load } = RUNTIMES[options.runtime];
  let runtime: LoadedRuntime | undefined;
  const loadRuntime = loadOnce<LoadedRuntime>(async () => {
    runtime = await load(options, provisions);
    return runtime;
  });
  return {
    runtime: options.runtime,
    capabilities: new Set(capabilities),
    describe: async () => await (await loadRuntime()).describe(),
    enforced: async (limits) => await (await loadRuntime()).enforced(limits),
    boot: async (signal, limits) => await (await loadRuntime()).boot(signal, limits),
    isShort: () => runtime?.isShort?.() ?? false,
    // A runtime that could not be loaded has nothing to close.
    close: async () => await (await loadRuntime.peek()?.catch(() => undefined))?.close?.(),
  };
}
